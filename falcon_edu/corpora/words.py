"""Hold the words of the tales: more than three thousand, each in the lists that its places ask for.

Every word of a list fits wherever a pattern names the list. All were chosen for this project.
"""

import random
import re

from falcon_edu.corpora.pools import Pool

# Letters that no made-up word or name has: children read them.
UNFIT = re.compile(
    "fuck|shit|slut|sex|piss|bitch|crap|porn|cum|rape|dick|anus|anal|wank|slag|coon|gook|homo|jap|spic|fag|drug|hell|"
    "nigg|cunt|cock|nazi|whor|kill|^tit|^ass|^hoe|^poo|^pee|tit$",
    re.IGNORECASE,
)

# What an old captain says for a word. No tale says what he says, so that one can go back.
CAPTAIN = dict(
    pair.split(":")
    for pair in (
        "said:quoth you:ye my:me me:meself yes:aye no:nay is:be be:bide of:o' for:fer there:thar where:whar and:an' has:hath "
        "friend:matey friends:mateys child:swabbie children:swabbies small:teensy little:teeny big:hulkin' old:barnacled "
        "good:rollickin' hungry:peckish ran:scurried saw:espied story:yarn song:shanty rain:squall wind:gale bed:berth "
        "bag:seabag water:brine house:deckhouse bread:hardtack soup:chowder"
    ).split()
)


def is_fit(word):
    """True if a made-up word may be told: children read it, and no captain says it.

    >>> is_fit("glorm"), is_fit("matey")
    (True, False)
    """
    return not UNFIT.search(word) and word.lower() not in CAPTAIN.values()


# How many people have a familiar name: of those with whom a tale begins, and of those who come later.
FAMILIAR_FIRST, FAMILIAR_LATER = 0.15, 0.4
# The first words of a long list come so many times as often as its others, as in any language a few
# words come often and many come seldom.
COMMON_FIRST, COMMON_WEIGHT, LONG_LIST = 30, 24, 60


def _each(phrases):
    """`{word: phrase}`, from `{"on": "hill beach"}`: a preposition belongs to its noun."""
    return {
        word: f"{before} the {word}" for before, words in phrases.items() for word in words.split()
    }


PLACES = _each(
    {
        "at": "park farm market mill harbor castle fair station windmill zoo museum library school bakery theater "
        "playground airport circus bookshop toyshop bank hotel hospital palace stadium",
        "in": "garden wood meadow orchard field yard forest valley square cave attic cellar kitchen jungle desert barn "
        "stable village city tower maze greenhouse workshop courtyard churchyard vineyard",
        "by": "river pond lake stream well fountain sea lighthouse waterfall canal bay dam creek marsh pier railway "
        "campfire gatehouse weir",
        "on": "hill beach bridge island mountain roof balcony cliff raft ferry moor heath terrace ridge sandbank ice",
    }
)
SPOTS = _each(
    {
        "under": "bench bush table cart ladder bed sofa blanket hedge tent awning staircase doormat leafpile",
        "behind": "wall gate barrel shed sign curtain door haystack woodpile screen stove cupboard dustbin",
        "beside": "rock path log stump tree statue flowerbed bathtub fireplace signpost millstone anthill",
        "near": "fence steps kennel pump beehive henhouse swing slide sandpit mailbox birdbath bonfire",
        "in": "grass leaves mud hay sand snow reeds nettles clover ferns straw puddle ditch",
        "on": "shelf stool chair windowsill counter crate step doorstep anvil drainpipe",
    }
)

_LISTS = {
    # === How things and people are ===
    "adj": "old new big small tiny shiny pretty lovely dusty fancy simple large fine nice heavy strange broken wooden "
    "rusty soft smooth rough round square flat crooked narrow wide long short thick thin light bright plain clever "
    "funny muddy wet dry cold warm sticky slippery sparkling faded ragged patched cheap precious magic ordinary "
    "famous forgotten hollow empty full sharp blunt bent straight wobbly squeaky noisy silent secret curious "
    "absent ancient annoying awful bare basic bitter blank brief brisk bumpy careless charming chubby clean "
    "clear close common complete cool cozy crazy creaky crowded crumbly dainty damp dangerous dark dear deep "
    "delicate different dirty distant double dreadful dull early easy elegant enormous equal exact extra fair "
    "false familiar fast fierce final firm foolish fragile free fresh frozen fuzzy gigantic glorious glossy "
    "grand greasy grim handy harsh hidden high hilly icy ideal important impossible itchy jolly keen latest "
    "lazy leafy lean left-handed likely local loose lost loud low lucky magical main massive mean mellow "
    "mighty miniature mixed modern moonlit mossy mysterious naked natural neat odd open oval pale peculiar "
    "perfect personal pointed polished poor portable possible powerful private proper public pure quick quiet "
    "rainy rapid rare raw real recent rich right ripe royal rubbery safe salty sandy scary second-hand "
    "separate serious shabby shallow shared shaky silly similar single sleek slim slow slushy smart smoky snug "
    "solid sour special spicy splendid spiky stale steep stiff still stormy stout strong sudden sunken superb "
    "sure surprising sweet swift tall tame tasty tender tidy tight timeless tough transparent tricky true "
    "twisted ugly uneven unknown unusual upright useful useless usual vast visible watery weak weary "
    "weightless welcome whole wild windy winged witty wonderful woolen worn worthless wrong yearly young zany",
    "color": "red blue green yellow white black brown pink purple orange golden silver striped spotted painted gray "
    "violet crimson turquoise checkered copper scarlet ivory lilac",
    "trait": "kind brave clever quiet merry gentle cheerful curious patient polite lively shy thoughtful friendly "
    "honest careful funny wise bold calm generous helpful dreamy stubborn sleepy hopeful loyal modest graceful grumpy "
    "forgetful hardworking",
    "beast": "tiny fat brown sleepy young small plump funny fluffy timid lost hungry speckled shaggy nosy wild tame "
    "clumsy greedy playful gray lame fierce gentle spotted white",
    "weather": "sunny windy cloudy warm cool misty breezy mild chilly clear bright calm hot rainy snowy stormy frosty foggy "
    "gray cold wet dry",
    "size": "big small tiny tall little fine strange lovely pretty huge narrow crooked round wide cozy",
    "praise": "lovely fine splendid wonderful handsome beautiful charming marvelous perfect special pretty nice "
    "remarkable delightful excellent amazing clever dazzling",
    "glad": "happy glad proud pleased cheerful thankful content joyful delighted merry grateful relieved excited "
    "satisfied",
    "sad": "sad upset worried unhappy gloomy troubled sorry miserable cross afraid angry lonely jealous nervous "
    "disappointed puzzled",
    "need": "tired hungry thirsty sleepy cold hot bored lonely dizzy homesick late ready",
    "taste": "sweet sour salty bitter spicy crunchy creamy crisp juicy warm fresh sticky buttery tangy",
    "texture": "smooth rough soft hard fuzzy prickly bumpy silky slimy rubbery woolly grainy",
    "shape": "circle square triangle oval star cross heart spiral diamond cube cone arch zigzag",
    # === When and how ===
    "month": "January February March April May June July August September October November December",
    "time": "morning day afternoon evening",
    "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "season": "spring summer autumn winter",
    "meal": "breakfast lunch dinner supper",
    "how": "softly gently happily proudly quietly gladly kindly calmly bravely politely eagerly warmly merrily "
    "patiently sweetly quickly slowly shyly firmly carefully",
    "along": "slowly quickly happily merrily proudly quietly gladly bravely carefully eagerly cheerfully silently "
    "noisily steadily",
    "well": "soundly peacefully deeply quietly sweetly happily warmly",
    "adverb": "always never often seldom sometimes twice again almost nearly soon later early late today tomorrow "
    "yesterday tonight here there everywhere nowhere inside outside upstairs downstairs together alone away back "
    "forward backward sideways upward downward suddenly finally perhaps really truly hardly simply exactly probably "
    "abroad accidentally afterwards angrily anxiously anyway badly barely before bitterly blindly briefly "
    "brightly busily carelessly certainly clearly closely constantly coolly correctly daily dearly "
    "deliberately directly eagerly easily elsewhere enough especially evenly eventually everyday faithfully "
    "far fast fondly formerly fortunately frankly freely fully furiously generally generously gladly "
    "gracefully gradually gratefully greatly half hard hastily heavily helpfully highly honestly hungrily "
    "immediately indeed indoors instantly instead jokingly joyfully lately lazily least less likewise loosely "
    "loudly madly mainly maybe meanwhile merely more mostly mysteriously naturally nearby neatly nervously "
    "newly nicely nightly now oddly officially once openly outdoors overhead overnight partly perfectly "
    "playfully plainly pleasantly poorly powerfully promptly properly punctually quite rapidly rarely rather "
    "readily regularly safely secretly separately seriously sharply silently sleepily slightly smoothly "
    "solemnly somehow somewhere soundlessly specially stiffly still straight strangely strictly surely "
    "surprisingly tenderly thankfully then thoroughly thoughtfully tightly too totally twofold unexpectedly "
    "usually vainly warmly weekly well wildly willingly wisely wonderfully yearly yet",
    # === What people do ===
    "went": "went walked ran hurried skipped marched raced strolled cycled wandered hiked rode sailed",
    "gave": "gave handed passed brought",
    "found": "found saw spotted noticed discovered",
    "said": "said called whispered laughed cried shouted explained sang",
    "asked": "asked called whispered cried wondered",
    "answered": "said answered replied whispered laughed",
    "laughed": "smiled laughed nodded grinned giggled beamed waved bowed clapped",
    "did": "slept danced jumped waited listened laughed rested shivered whistled hummed yawned sneezed stumbled "
    "dreamed crawled climbed swam floated sailed flew galloped hopped tiptoed wobbled blushed sighed coughed snored "
    "trembled vanished arrived worked played sang cried smiled knelt sat stood fell grew melted glowed sparkled "
    "rustled splashed drifted paused "
    "argued awoke balanced bargained barked bathed began behaved blinked bloomed bounced bowed breathed buzzed "
    "camped changed chattered cheered chuckled collapsed complained continued cooked crashed crept crouched "
    "curtsied dived drank dressed dozed ducked ended escaped exploded faded failed fainted fished flickered "
    "flinched fluttered focused frowned froze gasped gathered gazed giggled glided glistened gossiped grinned "
    "groaned growled grumbled grunted hatched hesitated hid hovered howled hurried improved jogged joked "
    "juggled knocked landed lasted lied lingered lurked marched meditated moaned mumbled murmured napped "
    "nodded obeyed orbited paddled panicked panted paraded parked peeped pondered posed practiced prayed "
    "pretended purred quarreled quivered raced raged ranted reappeared relaxed remained returned ripened "
    "roared rocked rolled rose rowed rushed sagged scampered scowled screamed shone shouted shrank shrieked "
    "shrugged shuffled sank skated skidded skipped slid slipped slouched smirked snarled sneaked snorted "
    "soared sobbed spun sprinted squatted squirmed staggered stammered stared stayed strutted succeeded sulked "
    "surrendered swayed sweated swung talked tangoed tottered trembled tripped trotted tumbled turned twirled "
    "twisted waddled wailed walked wandered waved wept whimpered whined whirled whispered winced winked "
    "wondered wriggled yelled yodeled zigzagged",
    "did to": "saw found liked loved missed followed chased carried washed painted fixed broke bought sold hid lost "
    "drew copied counted lifted dropped pushed pulled kicked threw caught touched held opened closed cleaned cooked "
    "tasted smelled heard remembered forgot visited helped thanked met called watched fed hugged tickled guarded "
    "trusted borrowed mended shared "
    "accepted added admired adopted answered arranged asked attacked avoided baked balanced bent bit blamed "
    "blessed blew boiled bothered brought brushed built buried burned caressed carved celebrated chose clapped "
    "collected combed compared completed considered controlled covered crossed crushed cured cut decorated "
    "defended delivered described deserved designed destroyed discovered divided doubted dragged dreaded drove "
    "dug dusted emptied enjoyed examined exchanged expected explained explored filled finished folded forgave "
    "framed freed greeted ground guessed guided hated heated hired hit hunted ignored imagined imitated "
    "imported improved inspected interrupted introduced invented invited ironed joined judged kept kissed knew "
    "knitted labeled led left licked lit loaded locked lured managed married measured melted memorized minded "
    "missed mixed mocked moved named needed noticed obeyed offered ordered organized owned packed passed "
    "patted peeled perfumed photographed picked pinched placed planned planted played pleased poked polished "
    "poured praised prepared preferred pressed printed promised protected proved questioned raised read "
    "received recognized recorded refused removed rented repaired replaced rescued respected rode rubbed "
    "ruined scared scratched searched sent served sewed shaped shook showed shut signed sketched smelt spared "
    "spilled split spotted spread squeezed stacked stirred stole stopped stroked studied stuffed suggested "
    "surprised swallowed swept swapped switched taught tamed tapped teased tested tidied tied took tossed "
    "traded trained translated treated tried turned twisted understood unlocked unpacked untied unwrapped used "
    "wanted warmed warned wasted watered weighed welcomed whipped wiped won wore wrapped wrote",
    "do": "sleep dance jump wait listen laugh rest shiver whistle hum yawn sneeze stumble dream crawl climb swim float "
    "sail fly gallop hop tiptoe wobble sigh cough snore work play sing cry smile kneel sit stand fall grow read write "
    "draw paint cook bake count skate ski ride row dig plant",
    "doing": "sleeping dancing jumping waiting listening laughing resting whistling humming yawning dreaming climbing "
    "swimming sailing flying hopping working playing singing smiling reading writing drawing painting cooking baking "
    "counting skating riding rowing digging",
    # === Who ===
    "family": "mother father uncle aunt grandmother grandfather brother sister cousin niece nephew godmother",
    "grown": "farmer baker miller sailor gardener painter shepherd teacher potter weaver clown nurse doctor carpenter "
    "tailor postman cook plumber pilot captain librarian firefighter butcher dentist musician blacksmith fisherman "
    "hunter judge mayor merchant cobbler watchmaker waiter waitress driver engineer singer dancer poet juggler "
    "magician guard cleaner barber locksmith chemist vet builder miner beekeeper florist photographer conductor "
    "drummer fiddler innkeeper ferryman woodcutter chimney-sweep detective astronaut inventor explorer scientist "
    "accountant actor actress acrobat architect archer artist author banker baron bishop bookseller boxer "
    "bricklayer broker busker butler cabdriver caretaker cartoonist cashier chauffeur chef clerk coach "
    "collector comedian composer courier cowboy cyclist dairymaid decorator designer diplomat diver editor "
    "electrician farmhand fencer ferrier filmmaker fireman fisher footballer forester gamekeeper gatekeeper "
    "geologist glassblower glazier goalkeeper goldsmith governor grocer guide gymnast hairdresser harpist "
    "hatter herald herdsman hiker historian housekeeper illustrator interpreter janitor jeweler jockey "
    "journalist knitter lawyer lecturer lumberjack maid mason mathematician mechanic messenger midwife "
    "milkmaid minister model monk narrator navigator newsagent nun nurseryman officer optician organist "
    "outfitter paramedic pastor peddler pharmacist philosopher pianist pitman ploughman policeman porter "
    "printer producer professor programmer puppeteer ranger referee reporter researcher saddler sculptor "
    "secretary seamstress senator servant shipbuilder shoemaker shopkeeper signalman silversmith skipper "
    "soldier spinner squire stonemason storyteller student surgeon surveyor swimmer swineherd tanner thatcher "
    "tinker tracker trader trainer translator trapper trumpeter tutor umpire usher veterinarian vicar "
    "violinist volunteer watchman welder wheelwright whaler writer zookeeper",
    "hero": "dragon giant bear wolf king queen pirate knight wizard princess mermaid whale lion prince witch fairy elf "
    "dwarf goblin troll unicorn phoenix griffin ogre genie robot ghost tiger elephant sphinx emperor sorcerer "
    "minstrel outlaw centaur kraken gnome",
    "animal": "frog duck squirrel rabbit hedgehog robin mouse beetle turtle snail butterfly deer swan caterpillar "
    "sparrow lizard toad calf badger otter beaver owl heron mole bat weasel stork lark newt seal crab lobster dolphin "
    "penguin giraffe zebra hippo camel panda koala kangaroo parrot peacock ostrich flamingo eagle falcon hawk vulture "
    "pigeon dove swallow woodpecker kingfisher pheasant partridge turkey goose lamb kid foal piglet puppy kitten "
    "moth bee wasp ant spider cricket grasshopper dragonfly ladybug worm slug centipede salmon trout herring shark "
    "octopus squid starfish jellyfish walrus reindeer moose bison yak llama alpaca lynx leopard cheetah jaguar "
    "gorilla chimpanzee lemur sloth anteater armadillo porcupine skunk raccoon possum wombat platypus iguana gecko "
    "chameleon cobra python viper crocodile alligator tortoise "
    "aardvark albatross anchovy antelope baboon barracuda beagle bluebird boar bobcat buffalo bullfrog "
    "bumblebee buzzard canary caribou carp catfish chickadee chinchilla chipmunk clam cockatoo cockroach cod "
    "condor coral cormorant coyote crane crayfish cuckoo dachshund dingo dodo dormouse dromedary eel egret elk "
    "emu ermine finch firefly flea gazelle gibbon gnat gnu guppy haddock halibut hamster hare harrier hornet "
    "hummingbird husky hyena ibex ibis impala jackal jackrabbit jay katydid kestrel kiwi koi ladybird lemming "
    "limpet linnet locust loon loris macaw mackerel mallard mammoth manatee mandrill mantis marmot marten "
    "meerkat minnow mongoose mosquito mule mussel narwhal nightingale nuthatch ocelot okapi orca oriole osprey "
    "oyster panther parakeet pelican perch pike plover polecat poodle puffin puma quail ram rat ray redstart "
    "rhino roach rook rooster salamander sandpiper scallop scorpion seahorse shrew shrimp skylark snipe sole "
    "starling stingray stoat swift tapir tarantula termite tern thrush tick toucan tuna urchin vole wallaby "
    "warbler warthog wasp weevil whelk wildcat wolverine woodlouse wren yellowhammer zebu",
    "thief": "goat crow goose fox monkey magpie donkey raven pig jackdaw ferret raccoon gull ape",
    "pet": "dog cat pony kitten puppy parrot lamb hen hamster rabbit goldfish canary turtle mouse gerbil budgie duckling "
    "ferret goat guinea-pig",
    "noise": "woof meow moo baa oink quack cluck hiss buzz chirp croak roar neigh squeak hoot tweet growl howl click "
    "splash plop crash bang boom clang ding dong tick tock pop snap crackle whoosh zoom beep honk toot rattle rumble",
    # === Things ===
    "thing": "ball kite drum doll boat book bell lamp map key rope hat scarf basket bucket spoon cup button ribbon feather "
    "shell coin whistle flute puppet lantern umbrella blanket brush box jar bottle flag ring crown mask marble compass "
    "clock mirror balloon horn candle fan trumpet purse pencil glove mug parcel wheel hoop hammer saw shovel rake "
    "ladle bowl plate fork knife kettle pan pot teapot tray jug vase pillow quilt rug cushion towel sponge comb soap "
    "needle thimble thread scissors ruler eraser crayon chalk notebook letter postcard stamp envelope newspaper "
    "magazine poster painting photograph frame statue medal badge trophy ticket wallet suitcase backpack sack bag "
    "pouch chest trunk drawer lock chain hook nail screw bolt spring cork string net rod oar anchor sail paddle "
    "helmet shield sword bow arrow spear banner cloak cape coat jacket vest sweater shirt blouse skirt dress apron "
    "sock shoe boot slipper sandal belt buckle necklace bracelet brooch earring locket watch telescope microscope "
    "magnet battery torch radio telephone camera computer keyboard piano violin guitar harp cello banjo ukulele "
    "accordion tambourine triangle xylophone cymbal gong bugle clarinet trombone tuba fiddle lute recorder "
    "harmonica skateboard scooter sled wagon cart wheelbarrow tricycle bicycle skate ski puzzle dice domino card top "
    "yo-yo rattle teddy robot train rocket globe abacus ladder broom mop dustpan bin stool lampshade curtain "
    "tablecloth napkin straw saucer grater whisk sieve rolling-pin jar-lid corkscrew funnel thermometer bandage "
    "walking-stick pinwheel snow-globe music-box birdcage beehive nutcracker hourglass inkwell quill scroll "
    "parchment potion wand crystal amulet gem pearl emerald ruby sapphire nugget pebble fossil acorn pinecone "
    "sunflower rose tulip pumpkin seed egg nest honeycomb icicle snowball lollipop cookie muffin sandwich pancake "
    "crate barrel bead bobbin bonnet bowtie broomstick buoy candlestick canister cauldron chessboard clipboard "
    "coaster colander comic costume cradle crowbar decoder diary dictionary doorbell doorknob drawing easel "
    "eggcup fiddlestick figurine flowerpot flyswatter footstool goblet handkerchief handbag headband highchair "
    "horseshoe icebox jigsaw joystick keyring kaleidoscope knapsack knob lens lever lightbulb lunchbox "
    "magnifier mallet manual mattress mitten moneybox mousetrap necktie newsletter nightcap notepad oilcan "
    "organ padlock paintbox paperclip parasol passport peg pendant pennant periscope pincushion pipe pitcher "
    "plank platter pushpin racket raft ratchet razor reel remote ribcage ringlet rucksack safe sandal satchel "
    "scale scepter sculpture seashell seesaw shoebox shoelace sickle signet slate slingshot snorkel souvenir "
    "spade spatula spectacle spindle spinner spool sprinkler spyglass stencil stapler stethoscope stilt "
    "stopwatch surfboard swing tablet tack tankard tassel teacup teaspoon tent thermos tiara toaster toolbox "
    "toothbrush totem toolkit trinket trivet trolley tweezer typewriter urn valentine vane visor washboard "
    "whip wick wig windmill wineglass woodblock wreath yardstick zipper bannister birdhouse bookend bookmark "
    "brick caravan charm checkerboard corkboard crutch doily dreidel earmuff fishbowl flashlight footprint "
    "gift grindstone hairpin hammock hatbox headphone hinge hubcap kazoo lasso lobsterpot maraca mouthorn "
    "ocarina paddleboat panpipe pegboard pestle piggybank pistachio playhouse plunger pom-pom postbag prism "
    "quiver rainbarrel rattlebag rosette rucksack sandglass saltshaker sawhorse scabbard shako sleighbell "
    "snowshoe stirrup sundial swatch tepee top-hat tricorn tuning-fork ukelele vial weathervane whirligig "
    "windsock wishbone workbench",
    "clothes": "hat scarf coat jacket vest sweater shirt blouse skirt dress apron belt cap hood cloak cape robe raincoat "
    "swimsuit tie bow-tie uniform costume crown veil bonnet shawl poncho kimono tunic beret turban helmet smock sash "
    "anorak parka cardigan tracksuit nightgown waistcoat",
    "room": "kitchen bedroom bathroom hallway attic cellar library pantry nursery parlor workshop garage porch balcony "
    "study dining-room",
    "furniture": "table chair bed sofa desk shelf cupboard wardrobe chest bench stool armchair cradle bookcase piano stove "
    "oven sink bathtub mirror carpet fireplace clock ladder",
    "vehicle": "bus train boat ship ferry car truck van bicycle tram taxi airplane helicopter balloon rocket submarine "
    "tractor sled sleigh canoe raft carriage wagon motorcycle scooter ambulance hovercraft glider barge",
    "tool": "hammer saw drill shovel rake hoe axe pliers wrench ladder brush broom bucket rope needle scissors knife spade "
    "chisel file anvil level pump lever pulley trowel shears tape glue paint",
    "body": "head nose ear mouth chin neck shoulder arm elbow hand finger thumb back belly knee leg foot toe tooth tongue "
    "cheek forehead heel wrist",
    "music": "song tune lullaby march waltz ballad melody anthem carol jig hymn serenade",
    # === To eat ===
    "food": "bread cheese cake pie toast popcorn chocolate melon porridge soup honey jam pudding rice butter fruit milk "
    "flour sugar salt pepper oil vinegar mustard yogurt cream ham bacon sausage chicken fish tuna salmon shrimp "
    "noodles pasta pizza salad spinach lettuce cabbage broccoli pumpkin squash corn garlic ginger cinnamon vanilla "
    "tea coffee cocoa lemonade juice water syrup marmalade peanut-butter ice-cream custard jelly candy licorice "
    "caramel fudge waffles pancakes porridge stew chili curry tofu lentils barley oats couscous "
    "applesauce asparagus avocado bagel biscuit borscht bran broth brownie burrito buttermilk celery cereal "
    "champagne chutney cider coleslaw cornbread crackers cranberry croissant crumble dough dressing dumpling "
    "eclair eggnog falafel fennel feta flapjack fritter gelatin gingerbread goulash granola gravy guacamole "
    "hummus kale kebab ketchup kimchi lasagna macaroni mayonnaise meatloaf meringue milkshake mincemeat mint "
    "muesli mutton nougat oatmeal omelet oregano paella paprika parsley pastry pesto pickle polenta popsicle "
    "pretzel quiche quinoa ravioli relish risotto roast rosemary rye sage sauerkraut sherbet shortbread "
    "smoothie sorbet sourdough soy sprouts sushi taco tapioca tart thyme toffee tortilla truffle turmeric veal "
    "waffle wheat zucchini",
    "fruit": "apples pears plums nuts cherries peaches buns cookies grapes figs lemons carrots beans berries oranges limes "
    "bananas mangoes dates olives onions potatoes tomatoes peas turnips radishes leeks beets cucumbers mushrooms "
    "eggs rolls muffins pretzels dumplings pastries walnuts almonds chestnuts raisins apricots kiwis melons "
    "strawberries blueberries raspberries pineapples coconuts",
    "small": "pebbles acorns daisies flowers sticks seeds twigs petals stones shells beads buttons coins marbles feathers "
    "leaves pins corks stamps stars bubbles crumbs pinecones sequins",
    # === The world ===
    "tree": "oak apple willow pine birch elm cherry chestnut maple beech ash fir cedar palm poplar pear plum walnut olive "
    "fig",
    "flower": "rose tulip daisy lily violet poppy daffodil orchid lilac sunflower marigold primrose bluebell snowdrop "
    "buttercup lavender iris pansy crocus foxglove",
    "topic": "moon rain stars wind snow spring sun rainbow clouds summer winter thunder lightning sea mountains forest "
    "night morning frost fire river shadows dreams tides seasons comets echoes volcanoes",
    "far": "church mountains village town ships railway palace castle lighthouse windmill sea harbor forest river tower "
    "island bridge factory",
    "stuff": "sand sticks stones mud straw boxes bricks branches snow cardboard planks pillows blankets paper clay wire",
    "material": "wood stone glass paper iron gold silver copper clay wool cotton silk leather wax rubber plastic marble "
    "bone ice sand",
    "game": "tag catch leapfrog marbles football pirates hopscotch soldiers chess checkers dominoes cards tennis basketball "
    "hide-and-seek charades darts bowling croquet hockey baseball volleyball badminton",
    "land": "France Spain Italy Norway Sweden Poland Greece Turkey Egypt Kenya Ghana Nigeria India Nepal China Japan Korea "
    "Vietnam Brazil Peru Chile Mexico Canada Iceland Ireland Scotland Wales Finland Hungary Morocco",
    "idea": "luck hope courage trouble magic music silence time work peace war love friendship kindness patience truth "
    "wisdom hunger sleep danger adventure mystery secret promise answer question idea joke riddle story rumor dream "
    "wish memory mistake surprise accident holiday birthday party wedding journey contest lesson job reason rule "
    "habit favor gift prize debt bargain quarrel apology goodbye "
    "ability accent action address advantage advice age agreement alarm ambition amusement anger applause "
    "appetite argument arrival attempt attention attitude balance beauty beginning belief benefit bravery "
    "breath business calm care cause celebration chance change chaos charm choice circumstance comfort comment "
    "company comparison competition compliment confidence confusion connection conversation cure curiosity "
    "custom daylight deal decision degree delay delight desire detail difference difficulty direction "
    "discovery distance doubt duty education effort election emergency emotion encouragement ending energy "
    "enthusiasm error escape event evidence example excuse exercise experience experiment explanation fact "
    "failure fairness faith fame fashion fate fault fear feeling festival fiction forgiveness fortune freedom "
    "fun future gossip grace gratitude greeting grief growth guess happiness harmony haste health height help "
    "history honesty honor humor illusion imagination importance impression improvement independence "
    "information innocence instinct intention interest introduction invitation jealousy joy judgment justice "
    "knowledge language laughter law laziness leadership leisure liberty life limit logic loneliness loss "
    "loyalty madness majority manner marriage meaning measure mercy message method mind misery mission moment "
    "mood motion movement need news notice opinion opportunity order origin pain panic part pause pleasure "
    "plan poetry politeness possibility power practice praise preparation pride principle problem process "
    "progress purpose quality quantity race reality recipe recovery reflection regret relief reply report "
    "request rescue respect result revenge reward rhythm risk rivalry romance routine safety sadness "
    "satisfaction schedule score search sense service shame signal skill solution sorrow sound space speech "
    "speed spirit start strength struggle style success suggestion support suspense sympathy talent task "
    "tension theory thought thrill tiredness title tradition training treatment trick trust turn understanding "
    "unity value victory view visit voice vote walk warmth warning way wealth weekend will wonder word worry "
    "zeal",
    "school": "lesson teacher desk blackboard chalk pencil pen ruler eraser notebook book page alphabet letter number sum "
    "map globe bell recess homework test grade class pupil playground library poem spelling grammar science history",
    "nature": "hill valley river stream lake pond ocean island beach cliff cave desert forest meadow field swamp volcano "
    "glacier mountain canyon waterfall cloud rainbow storm fog frost hail breeze sunset sunrise moon star planet "
    "comet meteor shadow echo moss fern grass mushroom root branch leaf bark petal thorn pollen dew tide wave foam "
    "pebble boulder gravel soil dust ash smoke flame spark ember "
    "abyss air aurora avalanche bamboo bank bay blizzard bluff bog brook bud bush cactus cape cascade cavern "
    "cinder clearing coast cove crater creek current delta dune dusk earth earthquake eclipse equator estuary "
    "fjord flood foliage galaxy geyser gorge grove gulf gust heath hedge hillside horizon iceberg jungle "
    "lagoon ledge lichen mist monsoon moonlight mud nebula north oasis orchard peak peninsula plain plateau "
    "prairie puddle quicksand raindrop rapids ravine reed reef ridge rill ripple sandbar savanna seaweed shore "
    "shrub sky slope snowflake south stalactite starlight steam steppe strait sunbeam sunlight sunshine surf "
    "tundra twig vine wetland whirlpool whirlwind wilderness woodland zenith",
    "people": "boy girl man woman child baby twin friend neighbor stranger guest king queen prince princess hero villain "
    "pirate sailor soldier farmer teacher doctor nurse cousin uncle aunt grandmother grandfather crowd team family",
    "building": "house cottage castle palace tower church temple mosque school library museum hospital factory shop bakery "
    "barn stable mill inn hotel station airport harbor lighthouse bridge tunnel wall gate fence well fountain "
    "statue tent hut cabin igloo windmill",
    "counting word": "eeny meeny miney mo ibble obble dibble dooble yan tan tether pip sethera lethera hovera dovera bumfit "
    "inka dinka ponka zinka ticka tacka rumpel stumpel fiddle faddle higgle piggle wiggle waggle hum dum diddle "
    "daddle skiddle skoodle",
    "nonsense": "la fa ho hey tra lee lo doo dum dee ding dong fol rol diddle fiddle hi heigh yo ta ti oh ah",
    "then": "Then Soon Later Next Afterwards",
}
LISTS: dict = {name: tuple(dict.fromkeys(text.split())) for name, text in _LISTS.items()}
LISTS["but"] = ("But then", "But soon", "Suddenly", "Just then", "All at once")
LISTS["then"] = ("", *LISTS["then"])
LISTS["spot"] = tuple(SPOTS.values())
LISTS["place"] = tuple(PLACES)
LISTS["near"] = tuple(
    "in on under over near behind beside above below inside outside around across past".split()
)
LISTS["the"] = (
    "the",
    "a",
    "my",
    "your",
    "his",
    "her",
    "our",
    "their",
    "every",
    "some",
    "this",
    "that",
)
LISTS["and"] = ("and", "but", "or", "so", "because", "when", "while", "until", "if", "although")
LISTS["is"] = (
    "is",
    "was",
    "has",
    "had",
    "can",
    "could",
    "will",
    "would",
    "must",
    "should",
    "may",
    "did",
)
LISTS["who"] = ("I", "you", "he", "she", "it", "we", "they", "nobody", "everybody", "somebody")

ANEW = frozenset(
    "said asked answered gave found went laughed how along well then but the and is who near did".split()
)
PLURALS = {
    "mouse": "mice",
    "goose": "geese",
    "deer": "deer",
    "calf": "calves",
    "wolf": "wolves",
    "sheep": "sheep",
    "salmon": "salmon",
    "trout": "trout",
    "shark": "sharks",
    "squid": "squid",
    "reindeer": "reindeer",
    "moose": "moose",
    "bison": "bison",
    "fisherman": "fishermen",
    "postman": "postmen",
    "ferryman": "ferrymen",
    "butterfly": "butterflies",
    "knife": "knives",
    "leaf": "leaves",
    "scissors": "scissors",
    "elf": "elves",
    "dwarf": "dwarves",
    "cod": "cod",
    "carp": "carp",
    "elk": "elk",
    "buffalo": "buffalo",
    "shrimp": "shrimp",
    "fireman": "firemen",
    "policeman": "policemen",
    "watchman": "watchmen",
    "herdsman": "herdsmen",
    "ploughman": "ploughmen",
    "signalman": "signalmen",
    "pitman": "pitmen",
    "nurseryman": "nurserymen",
    "ox": "oxen",
    "man": "men",
    "woman": "women",
    "child": "children",
    "tooth": "teeth",
    "foot": "feet",
    "people": "people",
    "hero": "heroes",
    "potato": "potatoes",
    "volcano": "volcanoes",
    "echo": "echoes",
    "mosquito": "mosquitoes",
    "shelf": "shelves",
    "loaf": "loaves",
    "wharf": "wharves",
}

# Of these there can be one or many, so each fits after "a" and "two".
_COUNTED_LISTS = (
    "thing animal grown hero pet tree flower vehicle tool furniture clothes body nature building people room family shape "
    "place"
).split()
_NOUN_LISTS = [*_COUNTED_LISTS, *"food fruit small idea school material music".split()]
_OTHER_LISTS = (
    "adj color trait beast weather size praise glad sad need taste texture adverb how did do doing noise topic game land "
    "month weekday season nonsense near the and is who"
).split()


def weight(word):
    """Return how many times as often a word comes as the rarest.

    >>> weight("ball"), weight("yo-yo")
    (24, 1)
    """
    return COMMON_WEIGHT if word in COMMON else 1


def _joined(names):
    return dict.fromkeys(word for name in names for word in LISTS[name] if " " not in word and word)


LISTS["did-to"] = LISTS.pop("did to")
LISTS["counting"] = LISTS.pop("counting word")
COMMON = frozenset(
    word
    for entries in LISTS.values()
    if len(entries) > LONG_LIST
    for word in list(entries)[:COMMON_FIRST]
)
LISTS["noun"] = Pool(_joined(_COUNTED_LISTS), weight)
LISTS["anything"] = Pool(_joined([*_NOUN_LISTS, *_OTHER_LISTS, "did-to"]), weight)


def _invented(count, seed):
    """Return words that nobody knows, of one to three syllables, and that no list has."""
    draw = random.Random(seed).random
    onsets = "b bl br cr d dr f fl fr g gl gr h j kr l m n p pl pr qu r s sk sl sm sn sp spl st str t tr v w wr y z zw".split()
    vowels = "a e i o u a e i o u oo ee ai ou".split()
    codas = "b ck d dge ff g k l lb lm lp m mp n nd ng nk nt p rk rm rp rt sh sk sp ss st t tch x zz".split()
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = 1 + int(draw() * draw() * 3)
        word = "".join(
            onsets[int(draw() * len(onsets))] + vowels[int(draw() * len(vowels))]
            for _ in range(syllables)
        )
        word += codas[int(draw() * len(codas))]
        if word not in LISTS["anything"] and is_fit(word):
            found[word] = None
    return list(found)


def _gibberish(count):
    """Return rows of letters that nobody can say, and that no list has."""
    draw = random.Random("gibberish").random
    letters = "bcdfghjklmnpqrstvwxz"
    found: dict[str, None] = {}
    while len(found) < count:
        length = 3 + int(draw() * 7)
        word = "".join(letters[int(draw() * len(letters))] for _ in range(length))
        if word not in LISTS["anything"] and word not in INVENTED:
            found[word] = None
    return list(found)


INVENTED = Pool(_invented(15_000, "words"))
# Words that no tale has: with them one measures what a model does with a word of a reader.
HELD_OUT_WORDS = tuple(word for word in _invented(500, "held out") if word not in INVENTED)
LISTS["invented"] = INVENTED
LISTS["gibberish"] = Pool(_gibberish(15_000))
# What content there is, for those who tell content from grammar.
CONTENT_WORDS = frozenset(
    word
    for name, text in LISTS.items()
    if name not in ("then", "but", "spot", "the", "and", "is", "who", "near", "nonsense")
    for word in (text.entries if isinstance(text, Pool) else text)
) - frozenset([*INVENTED.entries, *LISTS["gibberish"].entries])
