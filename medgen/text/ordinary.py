"""Ordinary English words that one slip of the pen parts from a word of the lexicon: they are taken as they stand, and not mended.

Words of five letters or more of SCOWL's small lists (Debian's wamerican-small and wbritish-small, 2020.12.07) that were mended to a word
of weight, less forms of that word itself ("deviates"); and shorter ones that come near to a side.
"""

_TEXT = """
abode abreast advance advances afoot agent alight amass amasses apposite ardent arrow aspect asses awhile backs banded barge barked basses
bellow binding bindings blacks blend blending blest blight blued booth botch brave bravos breed breeding bright broth brown caged cantered
casing casts caving cheery chick chili chill chowing chows cinch cinches clacks cleft climb clung costs countess cover crown death decease
deceased deeps deft diluted dilution displayed distanced dither donut doubly doubted drape drool dross drown eft eight emotion enema
entered every expended extremer extremes facet faints faked famed farce fared farther fated fazed feather feint felt fending fight finch
finches fining first flight flint flung foist formal fortes fright frown funding gaged gander gasses giants goner grains granny grant
graph grass gripe groan groin grope growl hacks hairs haling halving handier handled handler handy hanged hanger hanker harder haring
harked harrow hating haying hazing health heaving heft height hinder hither hiving hover huger humor humors humour humours inched
infraction infractions insult isolate isolates itches jacks jaded jingle kneel laces laded lairs landed lander larked larks lasses
least legions lent lesson lessons let licks lift light lightly limbo lither littler locks loft lotion lover lucks lunge mangy manor
maple marker market marred marrow mashes masked masks massed masts meats meets melts menus messes metes might minding minds miner mines
mingle minks minors mints minuet minuted minuter minutes mirage misplaced misses missive moderates module modules mosses mover multiply
musses mystic naive natives niceties niches night noose notion nuder opposites other overs overt paced packs pander pansy parked passes
passive passively pausing paving pensioned peons pinch pinches plague plagues plaid plains plight plugs plumb plume plump plush poise
ponds potion pronounce pronounces punctuate racial racks radios radium rainy rather raving rejection relative reserved revere revolution
roman rumor rumors rumour rumours sacks saint sanded sands saving scanty scent sensor severed severer severs sewer shaft shafted shafting
shafts shaking shall shaming shaping sherry shine shingle shirt shirted shirting shirts shoeing shoes shooing shoos shops shoring shoving
showings shuns sidling sifted sifting sight singe singled singles singly sinus sitter skimp slacks slain slant slick slicked slicks
slights slime slowing slows sluice sluiced sluices slung smalls smell smother smoulder snots snowing snows sowing space spats speck spelt
spent spices spike spins spiral spire spite splice spliced splices split sport sports spout spouts staking stall stoke stokes stowing
stows stratum strike strikes string strode strove strung stunt subtler suction suctions swift swifts swine tacks taint tamely think
thought through tight tingle tinny toddle toddled toddles tough transverses trialed trick trifled trilled tripped troop trophy trough
tutor tutors udder vermin verses vomit vowel vowels waded waged waving wealthy weft weight whale wheres whiled whiles white wider width
wildly winch winches winding witch wither wizened woken woven yacks
"""
WORDS = frozenset(_TEXT.split())
