"""Run medgen on the nodes of a SLURM cluster; pip install "medgen[dask]" dask-jobqueue, in a place that all nodes see.

    python slurm.py --jobs 20 --partition gpu --gpus 1 -- BUNDLE scans/ -o out/

Starts a scheduler in this process, asks SLURM for so many jobs, each of them a worker, and runs `medgen run` with what comes
after `--`. Jobs that end, at their time limit or by a node that fails, are asked for again. Where it is stopped, the same
again goes on. --show only prints what would be handed to sbatch.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from dask_jobqueue import SLURMCluster

#: The second: dask's profiler keeps what a worker did in each of its last 1000 seconds, 80 KB each.
ENVIRONMENT = ["export OMP_WAIT_POLICY=passive", "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False"]


def main() -> int:
    """Return the exit code of `medgen run`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--partition")
    parser.add_argument("--account")
    parser.add_argument("--gpus", type=int, choices=[0, 1], default=0, help="of each job; a worker uses one")
    parser.add_argument("--cores", type=int, default=4, help="of each job: the network's on a CPU; reading and writing beside a GPU")
    parser.add_argument("--memory", default="32GB", help="of each job")
    parser.add_argument("--walltime", default="08:00:00", help="of each job")
    parser.add_argument("--setup", action="append", default=[], help="a line of shell before the worker, such as module load cuda")
    parser.add_argument("--interface", help="the network that nodes and this machine share, such as ib0")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("run", nargs="*", metavar="ARGUMENT", help="of medgen run")
    given = parser.parse_args()
    cluster = SLURMCluster(
        queue=given.partition, account=given.account, cores=given.cores, processes=1, memory=given.memory, walltime=given.walltime,
        interface=given.interface, job_name="medgen", job_script_prologue=[*ENVIRONMENT, *given.setup],
        job_extra_directives=[f"--gres=gpu:{given.gpus}"] if given.gpus else [],
        worker_extra_args=["--resources", f"GPU={given.gpus}"] if given.gpus else [],
    )  # fmt: skip
    with cluster:
        if given.show:
            print(cluster.job_script())
            return 0
        cluster.adapt(minimum_jobs=given.jobs, maximum_jobs=given.jobs)  # not scale(): that does not ask again
        device = ["--device", "cuda"] if given.gpus else ["--device", "cpu"]
        engine = ["--engine", "dask", "--scheduler", cluster.scheduler_address]
        return subprocess.run([sys.executable, "-m", "medgen.cli", "run", *given.run, *device, *engine], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
