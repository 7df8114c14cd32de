"""The words of English: `tag value: phrase, phrase ...` a line. A space in a phrase is also a hyphen."""

TABLE = """
plane axial: axial, axially, ax, transverse, transversal, transaxial, horizontal plane, tra
plane coronal: coronal, coronally, cor
plane sagittal: sagittal, sagittally, sag
contrast T1: t1, t1w, t1wi, t1 weighted, t1 weighting, mprage, mp rage, spgr, bravo
contrast T2: t2, t2w, t2wi, t2 weighted, t2 weighting
contrast FLAIR: flair, t2 flair, t2w flair, t2 weighted flair, flair weighted
contrast T1c: t1c, t1 c, t1+c, t1 + c, t1ce, t1gd, t1 gd, ce t1, t1 post, t1 post contrast, t1 post gadolinium, t1 post gd, t1 weighted post contrast, t1w post contrast, t1c+
agent yes: post contrast, after contrast, with contrast, contrast enhanced, gadolinium, with gadolinium, gad, gd, gbca, postcontrast, after gadolinium, post gadolinium, with gd, contrast agent
agent no: without contrast, no contrast, before contrast, pre contrast, non contrast, noncontrast, precontrast, unenhanced, native, plain, without gadolinium, no gadolinium, before gadolinium, non enhanced
refused DWI: dwi, diffusion, diffusion weighted, adc, dti
refused SWI: swi, susceptibility weighted, t2*, gre, gradient echo
refused proton density: pd, proton density, pdw
refused angiography: mra, tof, angiography, angiogram
refused functional MR: fmri, bold, asl, perfusion
refused CT: ct, computed tomography, cta
refused PET: pet, spect
refused ultrasound: ultrasound
refused haemorrhage: haemorrhage, hemorrhage, haemorrhages, hemorrhages, haemorrhagic, hemorrhagic, ich, bleed, bleeding, haematoma, hematoma, microbleed, microbleeds, sdh, sah
refused aneurysm: aneurysm, aneurysms, avm
refused cyst: cyst, cysts, cystic, abscess, abscesses
refused the spine: spine, spinal, spinal cord
refused the third or fourth ventricle: third ventricle, fourth ventricle, 3rd ventricle, 4th ventricle
refused family history: family history, mother, father, brother, sister, parents, grandmother, grandfather, sibling, relatives
refused surgery: craniotomy, resection, resection cavity, shunt
sex female: woman, female, lady, women, she, her, f, gentlewoman
sex male: man, male, gentleman, men, he, his, m
girl female: girl
girl male: boy
age 0 1: infant, baby, newborn, neonate, toddler
age 2 12: child, kid, children, pediatric, paediatric
age 13 17: teenage, teenager, adolescent, teen
age 18 39: young, young adult, young person
age 40 59: middle aged, middle age
age 18 90: adult, grown up
age 65 90: elderly, old patient, old person, aged person, senior, geriatric, pensioner
old female: old lady, old woman
old male: old man, old gentleman
age 20 29: twenties
age 30 39: thirties
age 40 49: forties
age 50 59: fifties
age 60 69: sixties
age 70 79: seventies
age 80 89: eighties
age 90 99: nineties
aged -: aged, age, age of
ventricles -: ventricles, ventricle, lateral ventricles, lateral ventricle, ventricular, ventricular system, ventricular size
ventricles enlarged: hydrocephalus, ventriculomegaly, nph
enlarged -: enlarged, enlarge, enlargement, dilated, dilatation, dilation, widened, wide, prominent, expanded, big
axis -: ap, anteroposterior, antero posterior, craniocaudal, cranio caudal, superoinferior, mediolateral, laterolateral, cc, long axis, short axis
pointer -: former, latter, the former, the latter, the larger, the bigger, the smaller, the greater, the first, the second, the last, the first one, the second one, the last one, the larger one, the smaller one, the bigger one, the smallest, smallest, the former one, the latter one, same lobe, same place, same location, same region, same area, same hemisphere, same spot
equal -: similar, same as, same sized, equal sized, similar sized, same in size, same size, same sizes, same diameter, equal, equally large, equal size, equal in size, identical, identically sized, identical size, identical in size, similar size, similar in size, similarly sized, comparable size, comparable in size, same size as, as large, as big
comparative -: larger, bigger, smaller
slit -: slit, slit like, narrow, collapsed
normal -: normal, unremarkable, normal sized, normal size, the normal size, healthy, healthy looking, sound
times 2: twice, double, twofold
times 0.5: half, half the normal size
atrophy -: atrophy, atrophic, atrophied, volume loss, brain volume loss, shrinkage, widened sulci, sulcal widening
lesion unspecified one: lesion, focus, spot, abnormality, nodule, hyperintensity, hypointensity, finding, signal abnormality
lesion unspecified many: lesions, foci, spots, abnormalities, nodules, hyperintensities, hypointensities, findings, signal abnormalities
lesion ms-like mass: ms, multiple sclerosis, demyelination, demyelinating, demyelinated
lesion ms-like one: plaque, ms plaque, ms lesion, demyelinating lesion
lesion ms-like many: plaques, ms plaques, ms lesions, demyelinating lesions
wmh -: wmh, wmhs, white matter hyperintensity, white matter hyperintensities, leukoaraiosis, white matter disease, white matter lesions, white matter lesion, small vessel disease
lesion stroke-like one: stroke, infarct, infarction, lacune, cva, lacunar infarct, lacunar infarction, lacunar stroke, ischaemic stroke, ischemic stroke
lesion stroke-like many: strokes, infarcts, infarctions, lacunes, lacunar infarcts, lacunar infarctions
lesion stroke-like mass: ischaemic, ischemic, ischaemia, ischemia, lacunar
lesion tumour-like one: tumour, tumor, neoplasm, mass, gbm, glioblastoma, glioma, metastasis, meningioma, astrocytoma, oligodendroglioma, lymphoma, hgg, lgg, space occupying lesion, brain tumour, brain tumor
lesion tumour-like many: tumours, tumors, neoplasms, masses, gbms, glioblastomas, gliomas, metastases, mets, meningiomas, astrocytomas, lymphomas, brain tumours, brain tumors
lesion tumour-like mass: metastatic, neoplastic
again -: it, they, the lesion, this lesion, that lesion, these lesions, the lesions, the tumour, the tumor, the infarct, the stroke, the mass
oedema -: oedema, edema, oedematous, edematous, perilesional oedema, perilesional edema, peritumoral edema, peritumoral oedema, vasogenic oedema, vasogenic edema
side left: l sided, lhs, left, left sided, left side, left hand side, l, lt, leftward, leftwards, patient's left, lefthand
side right: r sided, rhs, right, right sided, right side, right hand side, r, rt, rightward, rightwards, patient's right, righthand
side bilateral: bilateral, bilaterally, both sides, on both sides, either side, bilat, b/l, both hemispheres
from to left: right to left, from right to left, from the right to the left, r to l
from to right: left to right, from left to right, from the left to the right, l to r
relative away: contralateral, opposite side, other side, the other side, opposite, the opposite side
relative -: ipsilateral, unilateral, one side, on one side, unilaterally, same side, one sided
view -: image, picture, screen, viewer, viewer's, observer, reader's, page, display, photo, figure
place frontal: frontal, frontal lobe, frontal lobes, prefrontal
place parietal: parietal, parietal lobe, parietal lobes
place temporal: temporal, temporal lobe, temporal lobes, mesial temporal, medial temporal
place occipital: occipital, occipital lobe, occipital lobes
place insula: insula, insular, insular cortex, insular lobe
place frontoparietal: frontoparietal, fronto parietal
place frontotemporal: frontotemporal, fronto temporal
place temporoparietal: temporoparietal, temporo parietal, parietotemporal
place temporo-occipital: temporooccipital, temporo occipital, occipitotemporal
place parieto-occipital: parietooccipital, parieto occipital
place cerebellum: cerebellum, cerebellar, cerebellar hemisphere, cerebellar hemispheres, vermis
place brainstem: brainstem, brain stem, pons, pontine, midbrain, medulla, medulla oblongata, mesencephalon
place thalamus: thalamus, thalamic, thalami
place basal ganglia: basal ganglia, basal ganglion, putamen, putaminal, caudate, lentiform nucleus, globus pallidus, pallidum, striatum, bg
place hippocampus: hippocampus, hippocampal, hippocampi
place corpus callosum: corpus callosum, callosal
place periventricular: periventricular, periventricular white matter, periventricularly
place juxtacortical: juxtacortical
place white matter: white matter, deep white matter, subcortical, subcortical white matter, centrum semiovale, corona radiata, wm
midline -: midline, midline structures, mid line
shift -: midline shift, shift, shifted, shifts, displacement, displaced, deviated, deviation, mls, shift of the midline, shifting
centred sound: intact, preserved
centred -: in place, central, centred, centered, in the middle, undisplaced
motion -: motion, motion artefact, motion artefacts, motion artifact, motion artifacts, movement, movement artefact, movement artefacts, movement artifact, movement artifacts, motion blur, head motion
noise -: noise, noisy, grainy, graininess
bias -: bias, bias field, bias fields, inhomogeneity, intensity inhomogeneity, intensity inhomogeneities, field inhomogeneity, inhomogeneous intensity, intensity non uniformity, nonuniformity, shading
artefacts -: artefact, artefacts, artifact, artifacts
slice -: slice, slices, slice thickness, slice thickness of, section, sections, thick, section thickness, sliced
voxel -: iso, isotropic, voxel, voxels, voxel size, isotropic voxels, resolution, isotropic resolution
other -: fov, field of view, gap, slice gap, spacing, slice spacing, matrix, in plane, in plane resolution
grade mild: mild, mildly, slight, slightly, minimal, minimally, subtle, minor, faint, a little, a bit of
grade moderate: moderate, moderately, mild to moderate, medium degree
grade severe: severe, severely, marked, markedly, heavy, heavily, strong, strongly, pronounced, considerable, considerably, gross, grossly, very, moderate to severe, advanced, significant, substantial, massively, extreme, extremely
scale 1 3: tiny, punctate, pinpoint, pin point, minute
scale 3 10: small, little
scale 10 20: medium sized, mid sized, intermediate sized
scale 20 40: large, sizeable, sizable
scale 40 80: huge, giant, massive, enormous
vague -: thickness, grew, grown, growth, increased, decreased, increase, decrease, shrunk, shrank, doubled, tripled, mm, cm, millimetre, millimetres, millimeter, millimeters, centimetre, centimetres, centimeter, centimeters, inch, inches, pea, golf ball, tennis ball, walnut, grape, cherry, plum, fist, coin
count 1 1: a, an, single, solitary, another, the other, isolated, one more
count 2 2: a couple, a couple of, couple, couple of, a pair, a pair of, pair of, a duo of
count 3 3: a trio of, trio of, a triplet of
count 4 4: a quartet of
count 2 4: few, a few, a handful of, handful of
count 3 6: several, a number of
count 3 10: multiple, multifocal, various
count 10 30: many, numerous, innumerable, countless, disseminated, a lot of, lots of, plenty of, a great many, a good many, a great number of, a large number of
unclear count: dozens, dozens of, a score of, scores of, hundreds, hundreds of, thousands, thousands of, millions of, threefold, fourfold, fivefold, tenfold, myriad, myriads, quite a few, not a few, no few, very few, extremely few, precious few, fewer, too few, too many, twin, dual, triple, paired, pairs, pairs of, couples of, some number of, any number of
unclear denial: hardly, scarcely, barely, rarely, seldom, infrequently, if any, if anything, if at all, next to nothing, little to no, little or no, little evidence, little evidence of, little sign of, little in the way of, scant, scant evidence of, slim evidence of, negligible, insignificant, all but, anything but, nothing but, none but, far from, not only, not just, not merely, not simply, not least, not to mention, not many, not much, not a lot, not a lot of, not lots of, not all, not always, not every, not entirely, not completely, not fully, not totally, not wholly, not quite, not altogether, not exactly, not necessarily, not certain, not sure, not so, not too, not very, no doubt, no question, no matter, no wonder, no change, no change in, no change of, no difference in, doubtful, questionable, equivocal, dubious, improbable, implausible, uncertain, unconfirmed, unless, lest, if there is, if there are, nowhere, nobody, no one, fail to, fails to, failed to, failure to, unable to, impossible, unseen, invisible, undetectable, undetected, imperceptible, unnoticeable, inapparent, indiscernible, missing, wanting, deficient, deficient in, bereft of, void of, empty of, barring, in lieu of, sans, minus, nary, lesionless, avoid, avoiding, skip, skipping, forget, delete, deleted, erase, erased, eliminate, eliminated, get rid of, refrain from, ignore, ignoring, ignored, disregard, disregarding, healed, regressed, faded, cleared
nearly -: nearly, almost, virtually, practically, essentially, basically, effectively, next to, close to, as good as, more or less, largely, mostly, mainly, nigh on, nearly completely, almost completely, almost entirely, quasi
each -: each, apiece
both -: both
all -: all, all of them
respectively -: respectively, in that order
radius -: radius, radius of, in radius
diameter -: largest dimension, greatest dimension, maximum dimension, maximal dimension, largest diameter, maximum diameter, maximal diameter, max diameter, greatest diameter, diameter, diameter of, in diameter, across, wide across
bound high: up to, at most, no greater than, not greater than, no longer than, not over, not above, as many as, less than, under, below, <, ≤, no more than, not more than, no larger than, not larger than, smaller than, no bigger than, maximum of, fewer than, <=, max, not exceeding, as large as, as big as
bound after low: or more, or larger, or greater, or bigger, or over, or above, and over, and above, and more, and up
bound after high: or less, or smaller, or under, or below, or fewer
bound largest: largest, the largest, biggest, the biggest, largest one, the largest one, up to a maximum of
bound low: no fewer than, not fewer than, as few as, upwards of, in excess of, more than, at least, over, above, >, ≥, larger than, no less than, not less than, greater than, bigger than, no smaller than, minimum of, >=, exceeding, as small as
far before: depth, a depth of, depth of, distance, distance of, separated by, spaced
deep -: deep
far -: from, away from, lateral to, medial to, above the, below the, deep to, anterior to, posterior to, apart, off the
not after: unlikely, disappeared, vanished, gone, removed, resolved, negative, spared, unaffected, uninvolved, absent, ruled out, left out, excluded, omitted
not of: r/o, rule out, denies, denied, free from, no, without, w/o, no evidence of, free of, negative for, neither, nor, no sign of, no signs of, absence of, lack of, lacks, lacking, never
not -: deny, clear of, sparing, nothing, no longer, nil, wasn't, weren't, didn't, hasn't, haven't, hadn't, won't, wouldn't, can't, couldn't, shouldn't, mustn't, ain't, isnt, arent, wasnt, doesnt, dont, didnt, does not, do not, is not, are not, excluding, no significant, no obvious, no definite, no marked, isn't, aren't, doesn't, don't, devoid of, none, n't, exclude, omit, leave out, neg for, no visible, not any, cannot
not instead: not, rather than, instead of
except -: except, except for, apart from, other than, save for, with the exception of, aside from
and -: and, &, plus, as well as, also, together with
or -: or, either, versus, vs, and/or
with -: +, w/, with, causing, producing, showing, leading to, resulting in, having, has, who has, shows, demonstrating, plus a
but -: but, however, although, though, yet, while, whereas, instead
isa -: consistent with, suspicious for, compatible with, suggestive of, in keeping with, representing, namely, i.e.
body -: arm, leg, hand, foot, face, facial, eye, ear, knee, hip, shoulder, limb, hemiparesis, hemiplegia, weakness, numbness, paralysis, palsy, pain, headache, hemianopia, deafness, droop, neglect, visual field, breast, lung, kidney, handed, handedness, hander, sided weakness, sided hemiparesis, sided headache, sided numbness
drop side: right handed, left handed, right hander, left hander, right handedness, left handedness, right now, right away, all right, that's right, right before, right after, right here
drop: mca, aca, pca, mca territory, aca territory, pca territory, vascular, contrast enhancing, with contrast enhancing, old, 2d, 3d, ring enhancing, enhancing, image quality, grade, tr, te, ti, left ventricular function
finding -: mass effect, enhancement
drop grade number: who grade, fazekas, stage
join: :, =
hedge -: perhaps, maybe, possibly, probably, presumably, also possibly, also maybe
fill: situated, epicentre, epicenter, centre, center, include, included, including, add, draw, put, need, contain, contains, have, had, bead, beads, ball, marble, involving, involves, occupying, occupies, affecting, affects, fills, filling, extending, noted, found, detected, identified, arising, lies, lying, sits, occurring, or so, possible, probable, symmetric, symmetrical, the, of, in, on, at, to, is, are, was, be, its, by, for, this, that, there, seen, visible, present, brain, head, mri, mr, scan, scans, patient, patient's, patients, subject, year, years, lobe, lobes, region, area, side, sides, hemisphere, hemispheric, hemispheres, cerebral, territory, within, into, toward, towards, size, sized, measuring, measures, measured, about, approximately, approx, around, circa, ca, roughly, some, cortical, cortex, surrounding, surrounded, field, strength, acute, subacute, chronic, anterior, posterior, superior, inferior, medial, lateral, weighted, sequence, acquired, please, show, give, me, generate, create, make, i, want, located, near, level, long, longest, maximum, maximal, greatest, axis, extent, same, than, as, who, whose, which, diffuse, generalised, generalized, global, otherwise, everything, else, any, evidence, out, they're, it's, only, just, now, old lesions
"""
