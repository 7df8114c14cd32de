# Install Debian's dicom3tools (dciodvfy), chromium, orthanc and Mesa (pictures without a display) for the tests, as root, and
# leave no Orthanc listening: its package starts a server on every address, so Debian's policy file (policy-rc.d) forbids all
# starts while it is installed.
policy=/usr/sbin/policy-rc.d
if ! test -e $policy; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends dicom3tools chromium orthanc libgl1 libegl1 libegl-mesa0
rm -f /etc/systemd/system/multi-user.target.wants/orthanc.service  # nor is it started with the machine
