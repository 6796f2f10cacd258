"""The words and sentence patterns of the tales, and the captain's dialect: data only.

A pattern is a sentence or a few, written as they are read. Braces hold what varies, brackets choose.
Capitals are new to the tale, small letters are known from before:

    {A} {B} {C}   new children                          {P}          a new place; {P.at} is "by the river"
    {N} {M}       new things, as in "an old red kite"   {X} {W} {F}  who goes away, where to, for what food
    {Y} {Z}       a new pet's name and its kind
    {a} {b} {c}   different children who are here       {a.he} {a.him} {a.his} {a.He}  their pronouns
    {g} {o}       a child who holds something, and it   {r} {u}      another such child, and what that one holds
    {n} {n.color} "kite", "red"                         {l} {l.spot} the thing that was put down, and where
    {food} {hero} a word from the list of that name     {tree.a}     with its article
    {#3-6} {#-1}  a number from three to six; one less  {#}          the same number again

    {o>b}  {o>spot}  {o>}  {x<}    say nothing: b has o now; o was put down; o is gone; x is back
    {b:receiver}  {x:-}            name the kind of fact that is reported where the word is forced; report none
    [very|so|]                     one of these, or nothing
    {then} {but}                   "Then", "Soon" ... or nothing; "But then", "Suddenly" ...

Within a pattern the first mention of a letter or list draws and later ones repeat it, except that the
lists in `ANEW` (verbs, adverbs) always draw. What a pattern needs (a second holder, a pet, three
children) follows from its letters. Every line was written for this project.
"""

SHE = "Mia Anna Lily Rose Ella Nora Ruth Ivy Zoe Clara Emma Lucy Maya Nina Alma Hana Ada Leila Sofia Tara".split()
HE = "Tom Ben Sam Max Leo Finn Jack Omar Hugo Ravi Theo Noah Luca Adam Kofi Emil Ivan Oscar Paul Ned".split()
PETS = "Biscuit Pepper Rusty Daisy Patch Honey Bramble Muffin Shadow Clover Ginger Teddy".split()

OBJECTS = (
    "ball kite drum doll boat book bell lamp map key rope hat scarf basket bucket spoon cup button ribbon feather "
    "shell coin whistle flute puppet lantern umbrella blanket brush box jar bottle flag ring crown mask marble "
    "compass clock mirror balloon horn candle fan trumpet purse pencil glove mug parcel wheel hoop"
).split()


def _each(phrases):
    """`{word: phrase}`, from `{"on": "hill beach"}`: a preposition belongs to its noun."""
    return {
        word: f"{before} the {word}" for before, words in phrases.items() for word in words.split()
    }


PLACES = _each(
    {
        "at": "park farm market mill harbor castle fair station windmill",
        "in": "garden wood meadow orchard field yard forest valley square",
        "by": "river pond lake stream well fountain sea lighthouse waterfall",
        "on": "hill beach bridge island",
    }
)
SPOTS = _each(
    {
        "under": "bench bush table cart ladder",
        "behind": "wall gate barrel shed sign",
        "beside": "rock path log stump",
        "near": "fence steps kennel pump",
        "in": "grass leaves mud hay sand",
    }
)

# Every word of a list fits wherever a pattern names the list.
LISTS = {
    name: words.split()
    for name, words in {
        "adj": "old new big small tiny shiny pretty lovely dusty fancy simple large fine nice heavy strange",
        "color": "red blue green yellow white black brown pink purple orange golden silver striped spotted painted",
        "trait": "kind brave clever quiet merry gentle cheerful curious patient polite lively shy thoughtful friendly "
        "honest careful funny wise",
        "beast": "tiny fat brown sleepy young small plump funny fluffy timid lost hungry speckled",
        "weather": "sunny windy cloudy warm cool misty breezy mild chilly clear bright calm hot",
        "month": "March April May June July August September October",
        "time": "morning day afternoon",
        "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "praise": "lovely fine splendid wonderful handsome beautiful charming marvelous perfect special pretty nice",
        "glad": "happy glad proud pleased cheerful thankful content joyful delighted merry grateful",
        "sad": "sad upset worried unhappy gloomy troubled sorry miserable cross afraid angry",
        "need": "tired hungry thirsty sleepy cold hot bored lonely",
        "how": "softly gently happily proudly quietly gladly kindly calmly bravely politely eagerly "
        "warmly merrily patiently sweetly quickly",
        "along": "slowly quickly happily merrily proudly quietly gladly bravely carefully eagerly "
        "cheerfully",
        "well": "soundly peacefully deeply quietly sweetly happily warmly",
        "went": "went walked ran hurried skipped marched raced strolled",
        "gave": "gave handed passed brought",
        "found": "found saw spotted noticed discovered",
        "said": "said called whispered laughed cried",
        "asked": "asked called whispered cried",
        "answered": "said answered replied whispered laughed",
        "laughed": "smiled laughed nodded grinned giggled beamed waved bowed",
        "size": "big small tiny tall little fine strange lovely pretty",
        "family": "mother father uncle aunt grandmother grandfather brother sister cousin",
        "animal": "frog duck squirrel rabbit hedgehog robin mouse beetle turtle snail butterfly deer swan caterpillar "
        "sparrow lizard toad calf",
        "thief": "goat crow goose fox monkey magpie donkey raven pig",
        "pet": "dog cat pony kitten puppy parrot lamb hen",
        "hero": "dragon giant bear wolf king queen pirate knight wizard princess mermaid whale lion",
        "food": "bread cheese cake pie toast popcorn chocolate melon porridge soup honey jam pudding rice butter fruit",
        "fruit": "apples pears plums nuts cherries peaches buns cookies grapes figs lemons carrots beans berries",
        "small": "pebbles acorns daisies flowers sticks seeds twigs petals stones shells",
        "grown": "farmer baker miller sailor gardener painter shepherd teacher potter weaver clown nurse doctor "
        "carpenter tailor postman cook",
        "game": "tag catch leapfrog marbles football pirates hopscotch soldiers",
        "topic": "moon rain stars wind snow spring sun rainbow clouds summer winter",
        "tree": "oak apple willow pine birch elm cherry chestnut",
        "stuff": "sand sticks stones mud straw boxes bricks branches",
        "far": "church mountains village town ships railway palace",
        "then": "Then Soon Later Next Afterwards",
    }.items()
}
LISTS["but"] = ["But then", "But soon", "Suddenly", "Just then", "All at once"]


ANEW = frozenset("said asked answered gave found went laughed how along well then".split())


def _patterns(text):
    return tuple(line for line in text.splitlines() if line)


# Who, when and where.
OPENINGS = _patterns("""
One {weather} {month} {time}, {A} and {B} {went} to the {P}.
{A} and {B} were [good|best|old|great] friends. One {weather} {time}, they {went} to the {P}.
Once there was a {trait} child named {A}. One {weather} {month} {time}, {A.he} met {A.his} friend {B} {P.at}.
It was a {weather} {month} {time}, and {A} and {B} were {P.at}.
{A} lived in a {size} {color} house. One {weather} {time}, {A.his} friend {B} came, and they {went} to the {P}.
Long ago, in a {size} [village|town], lived {A} and {B}. One {weather} {time}, they were {P.at}.
On {weekday}, {A} asked {B} to come to the {P}. They left [early|late|at noon|after lunch].
"Let us go to the {P}," {said} {A} one {weather} {time}. "[Yes|Oh yes|Yes, let us|Good idea]," {answered} {B}.
One {weather} {weekday}, {A} woke up early and {went} to the {P} with {A.his} {trait} friend {B}.
""")

# The third child, in the tales that have one.
THIRDS = _patterns("""
Their {trait} friend {C} came too.
{C} was there as well.
A {trait} child named {C} came to play.
"May I play too?" {asked} {C}. "Yes, {C}," {answered} {a}.
There they met {C}, who was {need}.
""")

# The pet, likewise.
PET_INTROS = _patterns("""
{a} had a {beast} {Z} named {Y}.
A {beast} {Z} named {Y} [ran|walked|hurried] behind {a}.
With them came {Y}, a {beast} {Z}.
""")

# Who has what.
HOLDINGS = _patterns("""
{a} had {N}, and {b} had {M}.{n>a}{m>b}
{a} had brought {N}. {b} had {M}.{n>a}{m>b}
"I have {N}," {said} {a}. "And I have {M}," {answered} {b}.{n>a}{m>b}
{a} was carrying {N}. "What a {praise} {n}," {said} {b}.{n>a}
{a} held {N}, but {b} had nothing to play with.{n>a}
{a} opened {a.his} bag and took out {N}. {b} had {M}.{n>a}{m>b}
"What did you bring, {a}?" {asked} {b}. "I brought {N}," {answered} {a}.{n>a}
{a} had {N}, and {b} had {found} {M} {spot}.{n>a}{m>b}
{a} showed {b} {N}. "It is from my {family}," {a.he} {said}.{n>a}
""")

# What happens: first what changes hands and places, then what fills a day.
EVENTS = _patterns("""
{then} {g} {gave} the {o} to {b:receiver}. "Thank you, {g}," {answered} {b}.{o>b}
{then} {g} {gave} the {o} to {b:receiver}, who {laughed} {how}.{o>b}
{then} {g} [smiled at|turned to|walked over to|ran to|winked at] {b:receiver} and {gave} {b.him} the {o}.{o>b}
{then} {g} held out the {o}. "This is for you, {b:receiver}," {g.he} {said}. {b} {laughed} {how}.{o>b}
{then} {g} lent the {o} to {b:receiver}. "It is {praise}," {said} {b}.{o>b}
"May I [hold|see|borrow|have] the {o}?" {asked} {b}. "Of course," {answered} {g:holder}, and {g.he} {gave} it to {b:receiver}.{o>b}
{then} {g} {gave} {r:-} the {o} for the {u}. Now {g} had the {u} and {r} had the {o}.{o>r}{u>g}
"Who has the {o}?" {asked} {a}. "{g:holder} has it," {answered} {c} {how}.
"Where is the {o} now?" {asked} {a}. "I have it," {answered} {g:holder} {how}.
"Do you still have the {o}, {g:holder}?" {asked} {a}. "[Yes|Of course|Here it is]," {answered} {g}.
All this time, {g:-} [held|kept] the {o} [close|tight|safe].
The {o.color} {o} looked {praise}. {g:holder} held it up {how} for {a}.
{then} {a} {found} {N} {spot}. {a.He} picked it up {how}.{n>a}
There was {N} {spot}. {a} picked it up and {gave} it to {b:receiver}.{n>b}
They {found} {N} {spot}. {a} picked up the {n} and {gave} it to {b:receiver}.{n>b}
"Look, {N}!" {said} {a}. It was {spot}. {b} picked it up and {gave} it to {a:receiver}.{n>a}
{then} {g} was {need} and put the {o} down {spot}.{o>spot}
{then} {a} went back for the {l}. It was still {l.spot}, and {a.he} picked it up.{l>a}
"Do not forget the {l}," {said} {a}. {b} {went} back and picked it up.{l>b}
They left the {p} and {went} on to the {P}. {g} carried the {o} {along}.
"Let us leave the {p}," {said} {a} {how}. So they {went} to the {P}.
{then} {X} {went} off to the {W} to [buy|fetch|ask for|get] some {F}.
"We need some {F}," {said} {X}, and {X.he} {went} off to the {W}.
"I will get some {F}," {said} {X} and {went} off to the {W}.
"Please get some {F}, {X}," {said} {a}. So {X} {went} off to the {W}.
A {trait} {grown} {gave} {N} to {a}. "Thank you," {answered} {a}, and the {grown} {laughed}.{n>a}
They met a {trait} {grown}. {g} {gave} the {o} to the {grown}. "How kind you are, {g}," said the {grown}.{o>}

{then} {a} [picked|gathered|found] {#3-6} {fruit}. {a.He} ate one, so there were {#-1:count} {fruit} left.
{then} {a} had {#4-6} {fruit}. {a.He} {gave} two {fruit} to {b:receiver} and kept {#-2:count}.
{then} {a} found {#2-5} {small}, and {b} found one more. "Now we have {#+1:count}," {said} {b}.
{then} {a} picked up {#2-6} {small}. "How many do you have?" {asked} {b}. "I have {#:count}," {answered} {a}.
{then} {a} had some {food} and {gave} half of it to {b:receiver}. "I [like|love] {food}," {said} {b}.
They {found} a {beast} {animal} {spot}. "Look at the {animal}," {said} {a}. "It is [eating|sleeping|hiding|resting]."
A {beast} {animal} came up to {a}. {a.He} {gave} the {animal} some {food}, and it ate {along}.
They played {game} [for a while|for an hour|in the sun|together]. "I [like|love] {game}," {said} {a}.
{then} {a} sang {how} about the {topic}, and {b} [danced|clapped|listened|hummed].
"Are you {need}, {a}?" {asked} {b}. "No, I am {glad}," {answered} {a}.
"Are you {glad}, {a}?" {asked} {b}. "Yes, {b}, I am very {glad}," {answered} {a}.
{then} {a} told a story about a {trait} {hero}. "Was the {hero} real?" {asked} {b}. "[Yes|No|Maybe|Of course]," {answered} {a}.
They built a {size} [house|tower|castle|wall] out of {stuff}. {a} fetched the {stuff}, and {b} helped {how}.
{then} {a} climbed {tree.a} tree. "I can see the {far}," {a.he} {said}. {b} wanted to see the {far} too.
They sat down under {tree.a} tree. {a} was {need}, and {b} was {need} too.
{then} {a} [drew|made|painted] a {trait} {hero} for {b:receiver}. "What a {praise} {hero}," {said} {b}.
{y} the {z} took the {o} and ran away. "Come back, {y}," {said} {g:holder}. {y} brought it back to {g:receiver}.
{y} was [very|always|still|so] hungry, so {a} {gave} the {z} some {food}.
{y} the {z} [jumped|rolled|danced|hid] {spot}, and {a} {laughed} {how}.
""")

# What the others say about the one who went away.
MEANWHILES = _patterns("""
"Where is {x:-}?" {asked} {a}. "At the {w}," {answered} {b}.
"Who went to the {w}?" {asked} {a}. "{x:away} did," {answered} {b}.
{a} and {b} waited for {x:away}. "I [like|love] {f}," {said} {b}.
""")

# How that one comes back. Told before the problem at the latest.
RETURNS = _patterns("""
{then} {x:-} came back from the {w} with the {f}.{x<}
"I am back from the {w}," {said} {x}, and they ate the {f} {along}.{x<}
""")

# A small problem, and how it ends well.
PROBLEMS = _patterns("""
{but} {g} lost the {o} and was {sad}. {b} looked {spot}, {found} the {o} and {gave} it back to {g:receiver}.
"Where is my {o}?" cried {g}. {b} looked {spot}, and there it was. {b} {gave} it back to {g:receiver}, who {laughed}.
{but} a [naughty|cheeky|greedy|bold] {thief} took the {o} from {g:holder}. But {b} gave the {thief} some {food}, and it dropped the {o}.
{but} {g} dropped the {o} into the [mud|water|sand|ditch]. {b} [washed|cleaned|wiped] the {o} {how} and {gave} it back to {g:receiver}.
{but} the {o:-} broke, and {g:holder} was {sad}. {b} mended the {o} with [string|glue|tape|wire|cloth], and {g} was {glad} again.
{but} {a} fell over a [root|stone|log|branch|bucket] and hurt {a.his} [knee|hand|foot|arm|toe]. {b} [helped {a.him} up|held {a.his} hand|sang to {a.him}], and {a} {laughed} again.
{but} it began to rain, and {a} was {sad}. {b} told {a.him} about a {trait} {hero}, and soon {a.he} {laughed}.
{but} {a} was very hungry. "I have {#4-6} {fruit}," {said} {b}, and {gave} {a.him} two. So {b} had {#-2:count} {fruit}.
{but} {a} and {b} both wanted the {small}. So they counted out {#2-6} {small} for {a} and {#:count} for {b}.
Then they heard a [strange|loud|low|soft] noise {spot}. "Is it a {hero}?" {asked} {a}. "No, it is a {beast} {animal}," {answered} {b}.
Then it grew dark, and {a} was {sad}. A {trait} {grown} came with a light. They followed the {grown}, and {a} held {b:name}'s hand.
{but} the [wind|storm] blew the {o} into {tree.a} tree. {b} climbed the {tree} tree and {gave} the {o} back to {g:receiver}, who was {glad}.
{but} {a} was {need} and wanted to go home. "Please stay, {a}," {said} {b}, and {gave} {a.him} some {food}. {a} ate the {food} and stayed.
Then they came to a [wide|deep|cold|noisy] [ditch|brook|puddle]. {a} could not jump so far. {b} held {a.his} hand, and {a} jumped {along}.
""")

CLOSINGS = _patterns("""
Then they {went} home from the {p}, and everyone was {glad}.
It had been a {praise} {time} {p.at}. {a} and {b} {went} home together.
In the evening, {g:-} still had the {o}. {g.He} put it beside {g.his} bed and slept {well}.
"We will come back to the {p} soon," {said} {a}. "[Yes|Yes, please|Oh yes]," {answered} {b}.
When the sun went down, they {went} home, and {g} carried the {o} {along}.
That night, {g:-} dreamed about the {o}, and {b} dreamed about the {p}.
At home, {g:-} showed everyone the {o}, and {b} told them about the {p}.
At home, {a} told {a.his} {family} all about {b} and the {p}.
"Good night, {a}," {said} {b}. "Good night, {b}," {said} {a}, and they {went} home {along}.
So they were {glad}, and they [sang|talked|laughed|skipped] {along} all the way home from the {p}.
"I liked the {o} best," {said} {b}. "And I liked the {p}," {answered} {g}.
At home, {a} made a bed for {y} the {z}. Then they both slept {well}.
Before they went home, {a} looked {l.spot} and picked up the {l}. Everyone was {glad}.{l>a}
"We must not forget the {l}," {said} {a}. {b} found it {l.spot}, and they {went} home {along}.{l>b}
When the sun went down, {a} fetched the {l}, and they {went} home from the {p}.{l>a}
""")

# === The captain's dialect: the same tales, told by an old sailor ===

CAPTAIN_BEFORE = "Ahoy, gather round, shipmates! "
CAPTAIN_AFTER = " And that be me yarn, by the salty tide!"
CAPTAIN = dict(
    pair.split(":")
    for pair in (
        "said:quoth you:ye my:me yes:aye no:nay is:be friend:matey friends:mateys of:o' for:fer there:thar where:whar "
        "small:wee little:teeny big:hulkin' old:ancient pretty:bonny lovely:dandy good:grand very:mighty happy:jolly "
        "hungry:peckish child:sprat went:sailed ran:scampered saw:spied has:hath story:tale song:shanty rain:squall "
        "wind:gale bed:hammock bag:sack water:brine house:cabin bread:hardtack soup:chowder"
    ).split()
)
