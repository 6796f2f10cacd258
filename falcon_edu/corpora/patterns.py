"""Hold the sentence patterns of the tales: data only, in the notation of `notation.py`.

A stage is a part of a tale, and its patterns are the ways to tell it. Every line was written for this
project.
"""


def _lines(text):
    return tuple(line for line in text.splitlines() if line)


# The stages with which a tale begins.
FIRST = ("opening", "free", "list", "song", "greeting", "new word", "diary", "riddle")

STAGES: dict[str, tuple[str, ...]] = {}

# === Stories ===

STAGES["opening"] = _lines("""
Once upon a time, there was a girl named {A=she}. {A.He} lived {P.at} with {a.his} friend {B}.
Once upon a time, there was a boy named {A=he}. {A.He} lived {P.at} with {a.his} friend {B}.
Once upon a time, there were two friends, {A} and {B}. One {weather} {time}, they {went} to the {P}.
Once upon a time, there lived {trait.a} {grown} named {A}. Every {time}, {A} {went} to the {P} to meet {B}.
Once upon a time, {A} and {B} lived in a {size} house by the sea. One {time}, they {went} to the {P}.
Once upon a time, in a {size} village, a child named {A} had {trait.a} neighbor named {B}.
Once upon a time, there was {trait.a} {hero} who lived {P.at}. Two children, {A} and {B}, came to see the {hero}.
Once upon a time, a {weather} {month} {time} found {A} and {B} {P.at}.
Long ago, in a {size} [village|town], lived {A} and {B}. One {weather} {time}, they were {P.at}.
Long, long ago, when {hero.s} still lived {P.at}, there was a girl named {A=she}, and {A.he} had a brother named {B=he}.
Long ago, a boy named {A=he} and his sister {B=she} set out for the {P}.
In a land far away, there lived {trait.a} queen named {A=she} and {trait.a} king named {B=he}. They {went} to the {P}.
In a land far away, two children lived in a {size} house. Their names were {A} and {B}.
In a [small|quiet|busy|noisy] town lived {A}. {A.His} best friend was {B}, and the two met {P.at}.
In the middle of the {season}, {A} and {B} {went} to the {P}.
Deep in the forest, {A} and {B} had built a {size} hut. One {time}, they {went} from there to the {P}.
One {weather} {month} {time}, {A} and {B} {went} to the {P}.
One {weather} {time}, {A} looked out of the window and saw {B} {P.at}.
One {weekday} in {month}, {A} met {B} {P.at}.
One {time}, a girl named {A=she} and a boy named {B=he} met {P.at}.
One {time}, {A} was so {need} that {a.he} went to see {B} {P.at}.
One {weather} {weekday}, {A} woke up early and {went} to the {P} with {a.his} {trait} friend {B}.
Once there was {trait.a} child named {A}. One {weather} {month} {time}, {A.he} met {A.his} friend {B} {P.at}.
Once there was {trait.a} {grown} who had two children, {A} and {B}. One {time}, they all {went} to the {P}.
There once was a girl called {A=she}, who was never {sad}. With {a.his} friend {B} {a.he} {went} to the {P}.
There once was a boy called {A=he}, who was always {need}. With {a.his} friend {B} {a.he} {went} to the {P}.
There was a {weather} {time} that {A} and {B} never forgot. It began {P.at}.
It was a {weather} {month} {time}, and {A} and {B} were {P.at}.
It was raining, so {A} and {B} stayed {P.at} and told each other stories.
It was snowing, so {A} put on {a.his} warmest {clothes} and {went} to the {P}. {B} was there already.
It was {weekday}, and on {weekday} {A} and {B} always {went} to the {P}.
It was the first day of {season}. {A} and {B} {went} to the {P}.
It all began when {A} met {B} {P.at}.
{A} and {B} were [good|best|old|great] friends. One {weather} {time}, they {went} to the {P}.
{A} and {B} were brother and sister. Every {weekday}, they {went} to the {P}.
{A} and {B} were twins. One {weather} {time}, they were {P.at}.
{A} and {B} did not know each other yet. They met {P.at}, on a {weather} {time}.
{A} lived in a {size} {color} house. One {weather} {time}, {A.his} friend {B} came, and they {went} to the {P}.
{A} lived {P.at}, and {B} lived next door.
{A} was {trait.a} {grown}, and {B} was {a.his} {trait} helper. They worked {P.at}.
{A} was {need}. So {a.he} {went} to the {P}, and there {a.he} met {B}.
{A} had a friend named {B}. "Let us go to the {P}," {said} {A}, and off they {went}.
{A} had always wanted to see the {P}. One {weather} {time}, {B} took {a.him} there.
{A} could not sleep. {a.He} got up and {went} to the {P}, and there sat {B}, wide awake too.
{A}'s house stood {P.at}. One {time}, {B} knocked at the door.
{A} said to {B}, "Shall we go to the {P}?" "[Yes|Oh yes|Of course|Why not]," {answered} {B}.
On {weekday}, {A} asked {B} to come to the {P}. They left [early|late|at noon|after lunch].
On a {weather} {time} in {month}, a girl named {A=she} {went} to the {P}. A boy named {B=he} was there too.
On the way to the {P}, {A} met {B}. "Where are you going?" {asked} {B}. "To the {P}," {answered} {A}.
"Let us go to the {P}," {said} {A} one {weather} {time}. "[Yes|Oh yes|Yes, let us|Good idea]," {answered} {B}.
"Wake up, {B}," {said} {A} one {weather} {time}. "Today we are going to the {P}."
"Who are you?" {asked} the girl {P.at}. "I am {A=he}. And you?" "I am {B=she}," {said} the girl.
"My name is {A}," {said} the new child {P.at}. "And mine is {B}," {answered} the other.
"Come in, come in," {said} {A} to {B}, for it was {weather} outside.
Every {time}, {A} and {B} {went} to the {P}. But this {time} was not like the others.
Everybody {P.at} knew {A} and {B}, the two {trait} friends.
When {A} was {#5-9} years old, {a.he} moved to a house by the {P}. There {a.he} met {B}.
When the {season} came, {A} and {B} {went} to the {P}.
Nobody knew how {A} and {B} had come to the {P}, but there they were.
Do you know the tale of {A} and {B}? It begins {P.at}, on a {weather} {time}.
This is the tale of {A}, {trait.a} girl, and of {B}, {trait.a} boy. They met {P.at}.
Listen, and I will tell you about {A} and {B}. They lived {P.at}.
Far away, beyond the {far}, lived {A} and {a.his} friend {B}.
""")

STAGES["third"] = _lines("""
Their {trait} friend {C} came too.
{C} was there as well.
{trait.a'} child named {C} came to play.
"May I play too?" {asked} {C}. "Yes, {C}," {answered} {a}.
There they met {C}, who was {need}.
Behind them came {C}, {a}'s {trait} cousin.
A girl named {C=she} joined them.
A boy named {C=he} joined them.
{a}'s little sister {C=she} came along.
{b}'s big brother {C=he} came along.
Then the door opened, and in came {C}.
Somebody called their names. It was {C}, who wanted to come too.
"This is {C}," {said} {a} to {b}. "Hello, {C}," {answered} {b}.
{C} was already waiting for them.
They did not know {C} yet, but soon the three were friends.
{trait.a'} {grown} named {C} greeted them.
""")

STAGES["pet"] = _lines("""
{a} had a {beast} {Z} named {Y}.
A {beast} {Z} named {Y} [ran|walked|hurried] behind {a}.
With them came {Y}, a {beast} {Z}.
{a} never went anywhere without {a.his} {Z}, whose name was {Y}.
{b} had brought {Y}, {b.his} {beast} {Z}.
In {a}'s bag sat a {beast} {Z}. Its name was {Y}.
A {Z} followed them. "Its name is {Y}," {said} {b}.
"What is your {Z} called?" {asked} {b}. "{Y}," {answered} {a}.
{a} carried {Y}, a {beast} {Z}, in {a.his} arms.
There was also {Y}, the {Z}, who was very {beast}.
""")

STAGES["holding"] = _lines("""
{a} had {N}, and {b} had {M}.{n>a}{m>b}
{a} had brought {N}. {b} had {M}.{n>a}{m>b}
"I have {N}," {said} {a}. "And I have {M}," {answered} {b}.{n>a}{m>b}
{a} was carrying {N}. "What {praise.a} {n}," {said} {b}.{n>a}
{a} held {N}, but {b} had nothing to play with.{n>a}
{a} opened {a.his} bag and took out {N}. {b} had {M}.{n>a}{m>b}
"What did you bring, {a}?" {asked} {b}. "I brought {N}," {answered} {a}.{n>a}
{a} had {N}, and {b} had [found|spotted|noticed|discovered] {M} {spot}.{n>a}{m>b}
{a} showed {b} {N}. "It is from my {family}," {a.he} {said}.{n>a}
{a} had got {N} for {a.his} birthday.{n>a}
{a} had {N} in {a.his} pocket, and {b} had {M} in {b.his} bag.{n>a}{m>b}
{a}'s {family} had made {a.him} {N}.{n>a}
{a} had bought {N} at the market, and {b} had borrowed {M}.{n>a}{m>b}
{a} came with {N} under {a.his} arm.{n>a}
"Look what I have," {said} {a}. It was {N}.{n>a}
"Guess what is in my bag," {said} {b}. It was {N}.{n>b}
{b} had only {N}, but {b.he} was {glad} to have it.{n>b}
{a} had dug up {N} {spot}.{n>a}
{a} had {N}. {b} had {M}. Nobody else had such things.{n>a}{m>b}
{a} was hiding {N} under {a.his} {clothes}.{n>a}
An old {grown} had given {N} to {a} and {M} to {b}.{n>a}{m>b}
{b} had lost everything but {N}.{n>b}
{a} loved {N} that {a.his} {family} had made.{n>a}
"This is {N}," {said} {a}. "And this is {M}," {answered} {b}.{n>a}{m>b}
{a} had wrapped {N} in paper, and {b} had wrapped {M} in a cloth.{n>a}{m>b}
A parcel had come for {a}. In it was {N}.{n>a}
{a} had found {N} on the way.{n>a}
{b} had won {N} in a contest.{n>b}
What {a} had was {N}, and what {b} had was {M}.{n>a}{m>b}
{a} pulled {N} behind {a.him} on a string.{n>a}
""")

STAGES["event"] = _lines("""
{then} {g} {gave} the {o} to {b:receiver}. "Thank you, {g}," {answered} {b}.{o>b}
{then} {g} {gave} the {o} to {b:receiver}, who {laughed} {how}.{o>b}
{then} {g} [smiled at|turned to|walked over to|ran to|winked at] {b:receiver} and {gave} {b.him} the {o}.{o>b}
{then} {g} held out the {o}. "This is for you, {b:receiver}," {g.he} {said}. {b} {laughed} {how}.{o>b}
{then} {g} lent the {o} to {b:receiver}. "It is {praise}," {said} {b}.{o>b}
{then} {g} gave {b:receiver} the {o} as a present. "For me?" {asked} {b}. "For you," {answered} {g}.{o>b}
{then} {g} did not want the {o} any more and {gave} it to {b:receiver}.{o>b}
{then} {g} let {b:receiver} have the {o} for a while. "Take good care of it, {b}," {said} {g}.{o>b}
{g:-} had what {b:-} wanted, the {o}. So {g} {gave} it to {b:receiver}.{o>b}
{g:-} wanted to thank {b:-} and {gave} {b.him} the {o}. "Thank you, {g}," {said} {b}.{o>b}
"May I [hold|see|borrow|have] the {o}?" {asked} {b}. "Of course," {answered} {g:holder}, and {g.he} {gave} it to {b:receiver}.{o>b}
"I would love to have the {o}," {said} {b}. So {g:holder} {gave} it to {b:receiver}.{o>b}
"Whose turn is it?" {asked} {g}. "Mine," {said} {b}, and {g} {gave} the {o} to {b:receiver}.{o>b}
{then} {g} {gave} {r:-} the {o} for the {u}. Now {g} had the {u} and {r} had the {o}.{o>r}{u>g}
{then} {g} and {r} traded. {g:holder} got the {u}, and {r:holder} got the {o}.{o>r}{u>g}
"Shall we trade?" {asked} {g}. So {r:holder} {gave} {g:receiver} the {u} and took the {o}.{o>r}{u>g}
"Who has the {o}?" {asked} {a}. "{g:holder} has it," {answered} {c} {how}.
"Who has the {o} now?" {asked} {a}. "{g:holder} does," {said} {c}.
"Where is the {o} now?" {asked} {a}. "I have it," {answered} {g:holder} {how}.
"Do you still have the {o}, {g:holder}?" {asked} {a}. "[Yes|Of course|Here it is]," {answered} {g}.
"What do you have there, {g}?" {asked} {a}. "The {o:object}," {answered} {g}.
"Whose {o} is this?" {asked} the {grown}. "It is {g:holder}'s," {said} {a}.
All this time, {g:-} [held|kept] the {o} [close|tight|safe].
{g:-} would not let go of the {o}.
{g:-} looked at the {o} and {laughed} {how}.
{g:-} polished the {o} until it shone.
{g:-} showed the {o} to {trait.a} {grown}. "How {praise}," said the {grown}.
{then} {a} {found} {N} {spot}. {a.He} picked it up {how}.{n>a}
{then} {b} {found} {N} {spot} and {gave} it to {a:receiver}.{n>a}
There was {N} {spot}. {a} picked it up and {gave} it to {b:receiver}.{n>b}
They {found} {N} {spot}. {a} picked up the {n} and {gave} it to {b:receiver}.{n>b}
"Look, {N}!" {said} {a}. It was {spot}. {b} picked it up and {gave} it to {a:receiver}.{n>a}
"Is this yours?" {asked} {a}, and held up {N}. "Yes, thank you, {a}," {said} {b}.{n>b}
Something fell from the tree. It was {N}, and {a} caught it.{n>a}
They dug a hole and {found} {N}. {a} cleaned the {n}, and {b} kept it.{n>b}
{then} {g} was {need} and put the {o} down {spot}.{o>spot}
{then} {g} laid the {o} {spot}, to have both hands free.{o>spot}
{g:-} hid the {o} {spot}. "Nobody will find it there," {g.he} {said}.{o>spot}
{then} {a} went back for the {l}. It was still {l.spot}, and {a.he} picked it up.{l>a}
{then} {a} remembered the {l}. It was {l.spot}, of course.{l>a}
"Where is the {l}?" {asked} {a}. "It is {l.spot}," {answered} {b}.
"Do not forget the {l}," {said} {a}. {b} {went} back and picked it up.{l>b}
A {beast} {animal} was sitting on the {l}, {l.spot}. {a} waited until it left, and took the {l}.{l>a}
They left the {p} and {went} on to the {P}. {g} carried the {o} {along}.
"Let us leave the {p}," {said} {a} {how}. So they {went} to the {P}.
When they had seen enough of the {p}, they {went} to the {P}.
From the {p} they could see the {P}, so they {went} there.
"Where are we?" {asked} {a}. "{p.at'}," {answered} {b}.
"Are we still {p.at}?" {asked} {a}. "Yes," {said} {b}, "this is the {p:place}."
{then} {X} {went} off to the {W} to [buy|fetch|ask for|get] some {F}.
"We need some {F}," {said} {X}, and {X.he} {went} off to the {W}.
"I will get some {F}," {said} {X} and {went} off to the {W}.
"Please get some {F}, {X}," {said} {a}. So {X} {went} off to the {W}.
"I am hungry," {said} {a}. So {X} {went} off to the {W} for some {F}.
{trait.a'} {grown} {gave} {N} to {a}. "Thank you," {answered} {a}, and the {grown} {laughed}.{n>a}
{grown.a'} came by and {gave} {b:-} {N}. "It was in my way," said the {grown}.{n>b}
They met {trait.a} {grown}. {g} {gave} the {o} to the {grown}. "How kind you are, {g}," said the {grown}.{o>}
{g:-} sold the {o} to {grown.a} for {#3-9} coins, and now {g.he} had {#:count} coins.{o>}
{g:-} threw the {o} as far as {g.he} could, and it was never seen again.{o>}
{then} {a} [picked|gathered|found] {#3-6} {fruit}. {a.He} ate one, so there were {#-1:count} {fruit} left.
{then} {a} had {#4-6} {fruit}. {a.He} {gave} two {fruit} to {b:receiver} and kept {#-2:count}.
{then} {a} found {#2-5} {small}, and {b} found one more. "Now we have {#+1:count}," {said} {b}.
{then} {a} picked up {#2-6} {small}. "How many do you have?" {asked} {b}. "I have {#:count}," {answered} {a}.
{then} {a} counted the {animal.s} in the field. There were {#2-9}. "{#:count'}?" {asked} {b}. "Yes, {#:count}," {said} {a}.
There were {#3-9} {small} {spot}. {a} took one, and {#-1:count} were left.
{a} had {#2-6} {fruit} and wanted one more. {b} {gave} {a.him} one, so {a} had {#+1:count}.
{then} {a} had some {food} and {gave} half of it to {b:receiver}. "I [like|love] {food}," {said} {b}.
{then} {b} was so hungry that {a} {gave} {b.him} all the {food}. "Thank you, {a}," {said} {b}.
"Do you like {food}?" {asked} {a}. "I love {food}," {answered} {b}.
"What would you like to eat?" {asked} {a}. "{food'}," {answered} {b}. So they ate.
They cooked {taste} {food} for {meal}. "More {food}, please," {said} {b}.
They drank some {food} and ate {S:fruit:2-4}.
{then} {a} laid the table with <t:{S:thing:2-4}>. "What do we have?" {asked} {b}. "We have <t>," {answered} {a}.
{then} {a} packed <t:{S:thing:3-5}>. {b} looked into the bag and saw <t>.
"We must bring <t:{S:food:3-5}>," {said} {a}. "I know," {said} {b}, "<t>."
"My favorite colors are <t:{S:color:2-4}>," {said} {a}. {b} drew a flag in <t>.
They {found} a {beast} {animal} {spot}. "Look at the {animal}," {said} {a}. "It is [eating|sleeping|hiding|resting]."
They {found} a {beast} {animal} {spot}. {a} wanted to keep the {animal}, but {b} shook {b.his} head.
A {beast} {animal} came up to {a}. {a.He} {gave} the {animal} some {food}, and it ate {along}.
A {beast} {animal} sat {spot}. "{noise'}," said the {animal}. "{noise2'}," answered {a}.
{animal.a'} ran over {a}'s foot. "Was that {animal.a}?" {asked} {b}. "It was {animal.a}," {answered} {a}.
"I can hear {animal.a}," {said} {a}. And {animal.a} it was.
High up flew {color.a} {animal}. "I wish I could fly," {said} {a}.
They followed the tracks of {animal.a} until they {found} the {animal} {spot}.
They played {game} [for a while|for an hour|in the sun|together]. "I [like|love] {game}," {said} {a}.
"Let us play {game}," {said} {a}. So they played {game}, and {b} won.
"Shall we play {game} or {game2}?" {asked} {a}. "{game2'}," {answered} {b}. So they played {game2}.
They raced to the tree, and {a} was first. "Well done, {a}," {said} {b}.
They played hide-and-seek. {a} hid {spot}, and {b} looked for {a.him} there first.
{then} {a} sang {how} about the {topic}, and {b} [danced|clapped|listened|hummed].
{then} {a} sang {music.a}: "<t:{nonsense}, {nonsense2}, {nonsense3}>." {b} sang it too: "<t>."
{then} {a} said, "<t:{noise}, {noise2}, {noise3}>." And {b} said, "<t>."
{a} whispered a secret word: "<t:{invented}>." "<t>?" {asked} {b}. "<t>," {answered} {a}.
{a} wrote "<t:{invented}>" on the [wall|sand|paper|board]. {b} read it aloud: "<t>."
"Say it after me," {said} {a}. "<t:{S:anything:3-6,}>." "<t>," {said} {b}.
"Are you {need}, {a}?" {asked} {b}. "No, I am {glad}," {answered} {a}.
"Are you {glad}, {a}?" {asked} {b}. "Yes, {b}, I am very {glad}," {answered} {a}.
"Why are you {sad}, {a}?" {asked} {b}. "Because I am {need}," {answered} {a}.
"You look {glad}, {a}," {said} {b}. "I am {glad}," {answered} {a}.
"What are you doing, {a}?" {asked} {b}. "I am {doing}," {answered} {a}.
"Can you {do}?" {asked} {a}. "[Yes|No|A little|Not yet]," {answered} {b}.
"What do you want to be?" {asked} {a}. "{grown.a'}," {answered} {b}. "Then be {grown.a}," {said} {a}.
"When I grow up, I will be {grown.a}," {said} {b}. {a} thought that {b} would be {trait.a} {grown}.
"Have you ever been to {land}?" {asked} {a}. "No, but I would love to see {land}," {answered} {b}.
"I once saw {hero.a}," {said} {a}. "{hero.a'}?" {asked} {b}. "Yes, {trait.a} {hero}," {answered} {a}.
"My {family} is {grown.a}," {said} {a}. "I would like to be {grown.a} too," {answered} {b}.
"What is your favorite food?" {asked} {a}. "I like {food} best," {answered} {b}. "Then let us eat {food}," {said} {a}.
"Which day is it?" {asked} {a}. "It is {weekday}," {answered} {b}. "Ah, {weekday}," {said} {a}.
"It is {weather} today," {said} {a}. "Very {weather}," {answered} {b}.
{then} {a} told a story about {trait.a} {hero}. "Was the {hero} real?" {asked} {b}. "[Yes|No|Maybe|Of course]," {answered} {a}.
{then} {a} read aloud from a book about {animal.s}. "I did not know that {animal.s} can {do}," {said} {b}.
{then} {a} dreamed of {hero.a}. In the dream, the {hero} said, "Follow me, {a}."
They built a {size} [house|tower|castle|wall] out of {stuff}. {a} fetched the {stuff}, and {b} helped {how}.
They made a kite out of {stuff} and let it fly over the {far}.
They pretended to be {hero.s}. "I am the {trait} {hero}," {said} {a}, "and you are the other {hero}, {b}."
They went to see the {grown}. "What can I do for you?" asked the {grown}. "We need {thing.a}," {said} {a}.
{then} {a} climbed {tree.a} tree. "I can see the {far}," {a.he} {said}. {b} wanted to see the {far} too.
They sat down under {tree.a} tree. {a} was {need}, and {b} was {need} too.
They planted {flower.a} and watered it. Soon there were {flower.s} everywhere.
{a} picked {color.a} {flower} for {b}. "My favorite flower is the {flower}," {said} {b}.
{then} {a} [drew|made|painted] {trait.a} {hero} for {b:receiver}. "What {praise.a} {hero}," {said} {b}.
{then} {a} drew {color.a} {shape} and {color2.a} {shape2}. {b} liked the {shape2} best.
{then} {a} painted the {furniture} {color}. Now {b} had {color.a} {furniture}.
{a} put on {color.a} {clothes}. "That {clothes} suits you, {a}," {said} {b}.
{a} lost {clothes.a}, and {b} {found} the {clothes} {spot}.
{a} knocked on the door {#2-5} times. Nobody came, so {b} knocked {#:count} times too.
They took the {vehicle} to the {far}. On the {vehicle}, {a} sat by the window.
They saw {color.a} {vehicle}. "I have never been on {vehicle.a}," {said} {b}.
They heard the {noise} of {animal.a}. "{noise'}," {said} {a}, and they {laughed}.
{a} played the {music} again and again, until {b} could sing it.
{a} borrowed {tool.a} from the {grown}. With the {tool} they mended the {furniture}.
{a} felt something {texture}. "Is it {material}?" {asked} {b}. "Yes, it is {material}," {answered} {a}.
The {taste} {food} was gone. "Who ate the {food}?" {asked} {a}. "I did," {answered} {b}.
It began to get {weather}. {a} {gave} {b:receiver} {clothes.a}. "Thank you, {a}," {said} {b}.
{a} made a wish. "I wish for {idea}," {a.he} {said}. "And I wish for {idea} too," {answered} {b}.
They talked about {idea} and {idea2}. {a} thought more of {idea}, and {b} of {idea2}.
They looked at the stars. {a} {found} one that looked like {animal.a}, and {b} saw the {animal} too.
A letter came for {a}. It said, "<t:Come to the {building} at {#2-9}>." {b} read it again: "<t>."
On the door it said, "<t:{anything} {anything2} {anything3}>." "What does it mean?" {asked} {a}. "<t>," {said} {b} {how}.
The {grown} said, "First the {thing}, then the {thing2}." {a} brought the {thing}, and {b} brought the {thing2}.
The {grown} taught them a rhyme: "<t:{counting}, {counting2}, {counting3}, {counting4}>." They said it all day: "<t>."
The {noun} looked like {noun2.a}. "{noun2.a'}?" {asked} {b}. "Yes, like {noun2.a}," {answered} {a}.
{y} the {z} took the {o} and ran away. "Come back, {y}," {said} {g:holder}. {y} brought it back to {g:receiver}.
{y} was [very|always|still|so] hungry, so {a} {gave} the {z} some {food}.
{y} the {z} [jumped|rolled|danced|hid] {spot}, and {a} {laughed} {how}.
"Good {z}," {said} {a}, and {gave} {y:name} some {food}.
"Where is {y}?" {asked} {a}. The {z} was {spot}.
{y} was afraid of the {animal}, so {a} took the {z} in {a.his} arms.
{y} went to sleep {spot}. "Sleep well, {y}," {said} {b}.
{a} threw a stick, and {y} the {z} brought it back.
{a} stood on one leg, and {b} stood on one leg too. {a} fell over first.
{a} tried to {do}, but {b} could {do} much better.
{a} forgot the word for {noun.a}. "{noun'}," {said} {b}. "Yes, {noun}," {said} {a}.
{a} asked {b} for {idea}, and {b} {gave} {a.him} some {food} instead.
{a} believed in {hero.s}. {b} did not believe in {hero.s}.
{a} and {b} promised each other: "<t:We will always {do} together>." And {b} said once more, "<t>."
{a} could count to {#7-12}. "{#:count'}?" {asked} {b}. "Yes, to {#:count}," {said} {a}.
""")

STAGES["meanwhile"] = _lines("""
"Where is {x:-}?" {asked} {a}. "At the {w}," {answered} {b}.
"Who went to the {w}?" {asked} {a}. "{x:away} did," {answered} {b}.
{a} and {b} waited for {x:away}. "I [like|love] {f}," {said} {b}.
"What is {x} getting?" {asked} {a}. "Some {f:word}," {answered} {b}.
"I hope that {x:away} will come back soon," {said} {a}.
{a} looked towards the {w}, but there was no {x:away} yet.
"{x} has been gone for an hour," {said} {b}. "The {w:place} is far," {answered} {a}.
""")

STAGES["return"] = _lines("""
{then} {x:-} came back from the {w} with the {f}.{x<}
"I am back from the {w}," {said} {x}, and they ate the {f} {along}.{x<}
"Here is the {f}," {said} {x}, who was back from the {w}.{x<}
At last, {x:-} came back. "The {w} was closed," {x.he} {said}, "so there is no {f}."{x<}
There came {x:away}, with a bag full of {f}.{x<}
""")

STAGES["problem"] = _lines("""
{but} {g} lost the {o} and was {sad}. {b} looked {spot}, {found} the {o} and {gave} it back to {g:receiver}.
"Where is my {o}?" cried {g}. {b} looked {spot}, and there it was. {b} {gave} it back to {g:receiver}, who {laughed}.
{but} a [naughty|cheeky|greedy|bold] {thief} took the {o} from {g:holder}. But {b} gave the {thief} some {food}, and it dropped the {o}.
{but} {g} dropped the {o} into the [mud|water|sand|ditch]. {b} [washed|cleaned|wiped] the {o} {how} and {gave} it back to {g:receiver}.
{but} the {o:-} broke, and {g:holder} was {sad}. {b} mended the {o} with [string|glue|tape|wire|cloth], and {g} was {glad} again.
{but} {a} fell over a [root|stone|log|branch|bucket] and hurt {a.his} {body}. {b} [helped {a.him} up|held {a.his} hand|sang to {a.him}], and {a} {laughed} again.
{but} it began to rain, and {a} was {sad}. {b} told {a.him} about {trait.a} {hero}, and soon {a.he} {laughed}.
{but} {a} was very hungry. "I have {#4-6} {fruit}," {said} {b}, and {gave} {a.him} two. So {b} had {#-2:count} {fruit}.
{but} {a} and {b} both wanted the {small}. So they counted out {#2-6} {small} for {a} and {#:count} for {b}.
{but} {a} was {need} and wanted to go home. "Please stay, {a}," {said} {b}, and {gave} {a.him} some {food}. {a} ate the {food} and stayed.
Then they came to a [wide|deep|cold|noisy] [ditch|brook|puddle]. {a} could not jump so far. {b} held {a.his} hand, and {a} jumped {along}.
{but} it got dark. {a} was afraid, but {b} took {a.his} hand. "Thank you, {b}," {said} {a}.
{but} they had lost their way. "Ask the {grown}," {said} {a}. The {grown} showed them the way.
{but} {a} heard {noise.a}. "It is only {animal.a}," {said} {b}, and only {animal.a} it was.
{but} the wind took the {o} out of {g:holder}'s hands. {b} ran after the {o} and brought it back to {g:receiver}.
{but} the {o} was too heavy for {g:holder}. {b} helped {g.him} carry the {o}.
{but} {g} sat on the {o} by mistake. It was only a little bent. "Never mind, {g:holder}," {said} {b}.
{but} {a} got a splinter in {a.his} {body}. {b} pulled it out of the {body} {how}.
{but} {a} and {b} had a quarrel. "I am sorry, {a}," {said} {b}. "I am sorry too, {b}," {answered} {a}.
{but} the bridge was broken. They built a new one out of {stuff}, and the {stuff} held.
{but} {a} could not find the way out. "Left," {said} {b}. "Left?" {asked} {a}. "Left," {said} {b}.
{but} {hero.a} stood in their way. "What do you want?" asked the {hero}. "Only to pass," {said} {a}. And the {hero} let them pass.
{but} {hero.a} wanted the {o}. "It is {g:holder}'s," {said} {b} bravely, and the {hero} went away.
{but} {a} spilled the {food}. "There is more {food} at home," {said} {b}.
{but} {a} had the hiccups. "{noise'}!" shouted {b}, and the hiccups were gone.
{but} the {animal} was stuck {spot}. {a} freed it {how}, and the {animal} thanked them in its own way.
{but} {a} was {sad}, and nobody knew why. "I miss my {family}," {a.he} {said}. So they wrote a letter to {a.his} {family}.
""")

STAGES["closing"] = _lines("""
Then they {went} home from the {p}, and everyone was {glad}.
It had been {praise.a} day {p.at}. {a} and {b} {went} home together.
In the evening, {g:-} still had the {o}. {g.He} put it beside {g.his} bed and slept {well}.
"We will come back to the {p} soon," {said} {a}. "[Yes|Yes, please|Oh yes]," {answered} {b}.
When the sun went down, they {went} home, and {g} carried the {o} {along}.
That night, {g:-} dreamed about the {o}, and {b} dreamed about {animal.s}.
At home, {g:-} showed everyone the {o}, and {b} told them all about it.
At home, {a} told {a.his} {family} all about {b} and the {p}.
"Good night, {a}," {said} {b}. "Good night, {b}," {said} {a}, and they {went} home {along}.
So they were {glad}, and they [sang|talked|laughed|skipped] {along} all the way home.
"I liked the {o} best," {said} {b}. "And I liked the {animal}," {answered} {g}.
At home, {a} made a bed for {y} the {z}. Then they both slept {well}.
Before they went home, {a} looked {l.spot} and picked up the {l}. Everyone was {glad}.{l>a}
"We must not forget the {l}," {said} {a}. {b} found it {l.spot}, and they {went} home {along}.{l>b}
When the sun went down, {a} fetched the {l}, and they {went} home.{l>a}
And if they have not left, {a} and {b} are still {p.at} today.
And that is how {a} and {b} became friends.
And from that day on, {a} and {b} were the best of friends.
And so {a} and {b} lived happily ever after.
From then on, {g:holder} never lost the {o} again.
"What a day," {said} {a}. "What {praise.a} day," {answered} {b}.
"See you tomorrow, {a}," {said} {b}. "See you tomorrow, {b}," {said} {a}.
The next day, {a} woke up and thought of {b}.
{a} never forgot the {p}, and {b} never forgot {a}.
{a} waved until {b:name} was out of sight.
That was the end of {praise.a} day.
The moon rose, and {a} and {b} slept {well}.
They told nobody about it but {y} the {z}.
""")

# === Tales that begin in any way, and take up what they began with ===

STAGES["free"] = _lines("""
{anything} {anything2} {anything3}.
{anything} {anything2} {anything3} {anything4}.
{anything} {anything2} {anything3} {anything4} {anything5} {anything6}.
The {anything} {did} {near} the {anything2}.
{the'} {noun} {did} {near} {the} {noun2}.
{the'} {adj} {noun} {did-to} {the} {noun2}.
{the'} {noun} {is} {adj} {and} {adverb} {adj2}.
{who'} {did-to} {the} {noun} {near} {the} {noun2} {adverb}.
{who'} {is} {adj} {adverb}, {and} {who} {did}.
The {noun} {did} {near} the {T}.
The {adj} {T} {did} {near} the {noun}.
The {T} {is} {adj}.
{T.a'} {did} {near} the {noun}.
My {T} {is} {adj} {and} {adj2}.
My {family} has {T.a}.
My {family} {A} has {T.a}.
My {family} {A} has {adj.a} {T}.
My sister {A=she} has {adj.a} {T}. The {T} {is} {adj2}.
My brother {A=he} has {adj.a} {T}. The {T} {is} {adj2}.
My friend {A} {did-to} {the} {noun}.
My name is {A}.
My name is {A} and I like {noun.s}.
I am {A}.
I am {A} and I have {T.a}.
I have {adj.a} {T} and a friend named {A}.
I have {T.a}.
Hello, I am {A}. Who are you?
Hi {A}.
Hello {A}, how are you?
{A}
{A} and {B}
{A} is {adj}.
{A} {did}.
{A} {did} {near} {the} {noun}.
{A} {did-to} {the} {noun}.
{A} {did-to} {the} {adj} {T}.
{A} {did-to} {B} {adverb}.
{A} has {T.a}.
{A} has {adj.a} {T} and {B} has {adj2.a} {noun}.
{A} is {grown.a} and {B} is {grown2.a}.
{A} and {B} {did} {near} the {noun}.
{A} and {B} {went} to the {noun}.
{A} and {B} are my friends.
{A}, {B} and {C} {did}.
{A} likes {noun.s} but {B} likes {noun2.s}.
{A} said, "{who'} {is} {adj}."
{A} wanted {T.a}.
{A} was born in {land}.
{A} went to {land} with {B} to see the {noun}.
{adj.a} {noun} {did}
{T.a}
the {T} {did}
the {adj} {noun} {did-to} the {T}
once there was {noun.a} and {T.a}
once upon a time there was {noun.a} called {A}
once {A} {did-to} {noun.a}
one day {A} {did}
one day {A} and {B} {did-to} {the} {T}
yesterday {A} {did} {near} the {noun}
today I {did-to} {the} {noun}
i am {A}
i have {T.a}
my friend is {A}
In the {noun}, there lived {noun2.a} who {did}.
In the {noun}, there was {adj.a} {T}.
In {land} there {is} {adj.a} {noun}.
In {month}, the {noun} {did}.
On {weekday}, {A} {did-to} {the} {noun}.
At night, the {noun} {did} and the {noun2} {did}.
When {A} was {need}, {B} {did}.
If {who} {is} {adj}, {who} {is} {adj2}.
Where is the {T}?
Why {is} the {noun} {adj}?
Who {did-to} the {T}?
What {is} {adj}?
There is {T.a} {near} the {noun}.
There was once {noun.a} and {noun2.a}.
Today is {weekday}. {A} is {adj}.
All {noun.s} {do}.
No {noun} is as {adj} as {T.a}.
Some {noun.s} are {adj}, but this {T} is {adj2}.
We {did-to} {the} {noun} {and} {who} {did}.
They say that {A} {did-to} {T.a}.
Look at the {T}!
Help! The {noun} {did-to} my {T}!
Long live the {noun}!
{noun'} is {adj}.
I have a {pet} named {A}.
I have a {pet} called {A} and it can {do}.
My {pet} {A} {did} {near} the {noun}.
My {pet} {A} loves to {do}.
My {adj} {pet} {A} {did-to} the {T}.
My {family} and I went to the {place}.
My {family} {A} is {adj} and {adj2}.
My teacher {A} {did-to} {T.a}.
My name is {A}, and this is my friend {B}.
My name is {A}. I live in {land}.
I live in {land} with my {family} {A}.
I went to the {place} with {A}.
I went to the {place} with {A} and {B}.
Yesterday, {A} and I went to the {place}.
Last {season}, {A} and {B} went to {land}.
Tomorrow {A} will {do}.
This is {A}.
This is my friend {A}.
This is a story about {A}.
This is a story about {A} and {animal.a}.
Tell me a story about {A}.
{family.a'} named {A} lived in {building.a}.
There was {animal.a} named {A}.
There was once {animal.a} named {A} who lived in the {noun}.
There once was {adj.a} {animal} called {A}.
There lived {adj.a} {hero} named {A} in the {noun}.
Once upon a time there was {adj.a} {animal} named {A}.
Once upon a time, there was {animal.a} called {A} who loved to {do}.
Once upon a time, {A} {did}.
Once upon a time, {A} and {B} {did-to} {the} {noun}.
Once upon a time there lived {hero.a} named {A} who had {T.a}.
Once there lived {animal.a} and {animal2.a}.
Once upon a time in {land}, {A} {did}.
In a land far away, {A} {did-to} {T.a}.
In the {noun}, there lived {animal.a} named {A}.
Long ago, {A} was {adj}.
Deep in the forest, {A} {did-to} {T.a}.
One day {A} found {T.a}.
One day, {A} found {T.a} in the {noun}.
One {weather} {time}, {A} {did}.
One {time}, {A} and {B} found {T.a}.
One day {adj.a} {animal} {did-to} {A}.
Suddenly, {A} {did}.
{A} found {T.a} {spot}.
{A} has a {pet} named {B}.
{A} has {adj.a} {pet} named {B}.
{A} loves {noun.s}.
{A} loves to {do}.
{A} loves {B}.
{A} lives in {land}.
{A} wants {T.a}.
{A} was {grown.a} who {did}.
{A} was {adj.a} {animal} who loved to {do}.
{A} the {animal} {did}.
{A} the {animal} was {adj}.
{A} the {hero} {did-to} the {T}.
{A} bought {T.a} for {B}.
{A} gave {B} {T.a}.
{A} gave {T.a} to {B}.
{A} and {B} went to the {place} to {do}.
{A} and {B} were {adj}.
{A} and {B} have {T.a}.
{A} and I are friends.
{A}, {B} and {C} went to the {place}.
{A}, {B} and {C} are friends.
"{A}, where are you?" {asked} {B}.
"Hello, {A}!" {said} {B}.
The {animal} {A} and the {animal2} {B} were friends.
The {hero} {A} had {T.a}.
The king of {land} was called {A}.
The cat {A} sat on the {noun}.
The {T} of {A} {is} {adj}.
The {adj} {animal} met the {adj2} {animal2}.
Princess {A} lived in {building.a}.
Captain {A} and the {adj} {T}
Doctor {A} has {T.a}.
where is {A}
i went to the {place} with {A}
my {pet} {A} loves to {do}
my {family} {A} has {T.a}
{A} has {T.a}
{A} loves {B}
{A} and {B} went to the {place}
It was raining, so {A} and I stayed at home.
It was {weather}, so {A} and I went to the {place}.
It was {weekday}, and {A} {did}.
Today was {adj.a} day. {A} {did}.
Today we had {adj.a} {school}, and I was {sad}.
Today, {A} and I {did}.
This morning, {A} {did-to} {the} {T}.
Last night, {A} dreamed of {T.a}.
Last week, I met {A} at the {place}.
Dear Grandma, yesterday I met {A} at the {place}.
Dear {family}, I have {T.a} now.
Dear {A}, thank you for the {T}.
{A} found {T.a} under {a.his} bed.
{A} lost {a.his} {T}.
{A} put on {a.his} {clothes} and went to the {place}.
{A} opened {T.a}.
{A} is {#4-12} years old and wants to be {grown.a}.
{A} was {#4-12} years old.
{A} has a {family} called {B}.
{A} has no {T}.
{A} is the best {grown} in {land}.
{A} did not know that {noun.s} can {do}.
{A} could not {do}, because the {noun} was {adj}.
{A} told {B} about {T.a}.
{A} asked {B} for {T.a}.
{A} saw {B} at the {place}.
{A} and {B} lived in {building.a} in {land}.
{A} and {B} built {T.a}.
{A} and {B} wanted to {do}, but the {noun} was {adj}.
{A} and {a.his} {family} went to the {place}.
{A} and {a.his} {pet} were {glad}.
{A}, {B} and {C} had {T.a}.
{noun.a'} can't {do}, but {A} can.
A girl named {A=she} {did}.
A boy named {A=he} {did-to} {the} {T}.
A {animal} named {A} lived in {land}.
There were two {animal.s} called {A} and {B}.
There lived {grown.a} in {land} who was called {A}.
There was a girl named {A=she} who had {adj.a} {T}.
There was a boy named {A=he}, and {A.he} could {do}.
The {hero} had two children, {A} and {B}.
The {hero} and {A} were friends.
The {grown} said to {A}, "The {noun} is {adj}."
The {adj} {animal} {A} wanted to {do}.
The {family} of {A} is {grown.a}.
The name of my {family} is {A}.
The {weather} {time} came, and {A} {did}.
Suddenly the {noun} {did}, and {A} {did2}.
Suddenly there was {T.a}.
"Where is my {T}?" {asked} {A}.
"I have {T.a}," {said} {A}.
"Look, {T.a}!" {said} {A}.
"Good {time}," {said} {A}.
"Can you {do}?" {asked} {A}.
"I am {need}," {said} {A} to {B}.
"Help," cried {A}. "The {noun} is {adj}."
Who is {A}?
Why did {A} {do}?
Do you know {A}?
Do you want to {do} with {A}?
When I was {#4-9}, {A} gave me {T.a}.
When {A} woke up, the {T} was gone.
If {A} had {T.a}, {B} would be {glad}.
My {family} {A} gave me {T.a}.
My {family} {A} lives in {land}.
My {family} {A} wants to {do}.
My {T} is called {A}.
My friends are {A} and {B}.
My friend {A} has {T.a}.
My friend {A} and I {did}.
My grandmother {A=she} has {adj.a} {T}.
My grandfather {A=he} was {grown.a}.
My teacher is called {A}, and {A.he} is {adj}.
Our {pet} {A} {did} all day.
Hi, my name is {A} and I can {do}.
hi, i am {A}
my name is {A} and i like {noun.s}
my name is {A} and i am {#4-12} years old
my {family} is called {A}
there was a girl called {A=she}
there was a boy called {A=he} and {A.he} had {T.a}
{A} was {adj}
{A} went to {land}
{A} and {a.his} {pet}
{A} and the {adj} {T}
the story of {A} and {B}
{S:noun:2-6}
{S:anything:3-8,}.
{S:noun:2-5} {did}.
""")

STAGES["take up name"] = _lines("""
That is what people said about {a}.
Everybody liked {a}.
{a} did not know what to do.
{a} was {glad} about it.
{a} {laughed} {how}.
"Is that true?" asked {a}.
"{a}, come here," called {grown.a}.
"Who is {a}?" asked the {grown}. "I am {a}," {said} {a}.
"{a}?" asked somebody. "Yes, I am {a}," said {a}.
So it was, and {a} knew it.
Nobody else knew it, only {a}.
This is how the story of {a} begins.
Let me tell you more about {a}.
{a} lived in a {size} {color} house.
{a} thought about it for a long time.
You should have seen {a}.
And what did {a} do? {a.He} {did}.
{a} had heard it from {a.his} {family}.
{a} wrote it down. "Signed, {a}," it said at the end.
{a} told it to everybody.
The name {a} was written on the door.
""")

STAGES["take up thing"] = _lines("""
It was no ordinary {t}.
Nobody had ever seen such {t.a}.
What {t.a} it was!
The {t} was {adj} and {adj2}.
Everybody wanted to see the {t}.
"Where does the {t} come from?" asked {grown.a}.
"That {t} is mine," said {grown.a}. "Take your {t}, then," said the others.
{t.a'} like this is hard to find.
People came from {land} to look at the {t}.
There was something about that {t}.
The {t} stood {spot}.
{trait.a'} {grown} had made the {t}.
Once, the {t} had been {color}. Now it was {color2}.
"I want {t.a} too," said a child.
Then somebody took the {t} away, and it was gone.
But what is {t.a} for?
""")

STAGES["come along"] = _lines("""
Then a girl named {A=she} came along.
Then a boy named {A=he} came along.
That was when {A} came in.
{trait.a'} child named {A} was listening.
"I know," said {A}, who had heard it all.
One {time}, {A} came by.
Somebody was watching. It was {A}, {trait.a} {grown}.
{grown.a'} named {A} knew more about it.
There was also {A}.
{A} saw it first.
"What is this?" asked {A}.
Nobody knew what to say until {A} came.
Now {A} must be told of.
Next door lived {A}.
""")

# === Lists that are said again ===

STAGES["list"] = _lines("""
{A} wrote a shopping list: <L:{S:food:3-8,}>. At the [market|store|shop|counter], {a.he} read it out: <L>.
{A} wrote a shopping list: <L:{S:food:3-7}>. {B} read the list. "<L>," {said} {B}.
{A} went to the market to buy <L:{S:food:3-7}>. On the way {a.he} said to {a.himself}, "<L>."
{A} needed <L:{S:thing:3-7}>. "I will bring you <L>," {said} {B}.
{A} packed a bag with <L:{S:thing:3-8}>. "What is in the bag?" {asked} {B}. "<L>," {answered} {A}.
{A} could say the names of all the children: <L:{S:invented:4-10,}>. Again: <L>.
{A} had to learn the words <L:{S:anything:5-20,}>. So {a.he} said them again: <L>.
{A} learned a poem by heart: <L:{S:anything:4-12,}>. {A} said it to {B}: <L>.
{A} saw <L:{S:animal:3-8}> at the zoo. {B} asked what there was to see. "<L>," {said} {A}.
{A} planted <L:{S:flower:3-6}>. In the spring, <L> came up.
{A} told {B} the colors of the rainbow: <L:{S:color:3-7,}>. "<L>," {said} {B}.
{A}'s magic spell was "<L:{S:invented:2-6,}>." {B} tried the spell too: "<L>."
{A} and {B} made a list of what they liked: <L:{S:noun:3-9,}>. They read it once more: <L>.
{A} and {B} played a memory game. {A} said, "<L:{S:noun:4-16,}>." {B} said, "<L>."
{A} asked for <L:{S:food:2-5}>. "<L>," repeated the {grown}. "Yes, <L>," {said} {A}.
The teacher said the words, and the class said them again. The teacher: <L:{S:anything:4-20,}>. The class: <L>.
The teacher wrote on the blackboard: <L:{S:noun:4-16,}>. The children wrote in their notebooks: <L>.
The teacher called the children: <L:{S:invented:3-9,}>. Who was there? <L>.
The parrot could say <L:{S:anything:3-12,}>. All day long it said <L>.
The old clock had a spell in it: <L:{S:invented:3-8,}>. Whoever said <L> could stop the time.
The password was <L:{S:anything:3-8,}>. {A} whispered <L>, and the door opened.
The recipe needs <L:{S:food:3-8}>. {A} put <L> on the table.
The robot repeated everything. "<L:{S:anything:4-16,}>," {said} {A}. "<L>," said the robot.
The stops on the way are <L:{S:place:3-8,}>. On the way back they are called out again: <L>.
The children counted out: <L:{S:counting:4-12,}>. Once more: <L>.
The king's guests were <L:{S:hero:3-7}>. "Let <L> come in," said the king.
The echo in the cave said everything twice. <L:{S:anything:3-12,}>. <L>.
Words to learn: <L:{S:anything:5-20,}>. Say them again: <L>.
List: <L:{S:noun:4-20,}>. Copy: <L>.
Please copy this line. <L:{S:anything:4-16,}>. <L>.
Please copy this line. <L:{S:mixed:4-24_}> <L>
<L:{S:anything:4-24_}> <L>
<L:{S:anything:4-24_}>. <L>.
<L:{S:anything:4-24,}>. <L>.
<L:{S:mixed:4-24_}> <L>
<L:{S:mixed:4-24,}>, <L>
<L:{S:mixed:4-16_}>. <L>. <L>.
<L:{S:noun:4-24_}> <L> <L>
<L:{S:gibberish:4-16_}> <L>
<L:{S:gibberish:2-8_}>, <L>, <L>
<L:{S:invented:4-16_}>! <L>!
<L:{S:name:3-12,}>. <L>.
<L:{S:name:3-12_}> <L>
"Come in, <L:{S:name:3-8}>," {said} {A}. So in came <L>.
The guests were <L:{S:name:3-10,}>. {A} read the names once more: <L>.
The secret code was <L:{S:gibberish:2-8_}>. {A} wrote it down: <L>.
{A} typed <L:{S:gibberish:3-12_}> and the machine typed <L>.
The robot repeated every word. "<L:{S:mixed:4-20_}>," {said} {A}. "<L>," said the robot.
First came the {animal}, then the {animal2}, then the {animal3}. First went the {animal}, then the {animal2}, then the {animal3}.
In the box are <L:{S:thing:3-9}>. {A} closed the box, opened it again, and there they were: <L>.
"<L:{S:anything:3-10,}>," {said} {A}. "<L>," {said} {B}.
"I pack my bag and I take <L:{S:thing:3-7,}>," {said} {A}. "I pack my bag and I take <L>," {said} {B}.
"Remember these," {said} {A}: "<L:{S:noun:3-12,}>." "I remember," {said} {B}: "<L>."
""")

STAGES["after list"] = _lines("""
And for the last time: <L>.
Then everybody knew it: <L>.
"Nothing is missing," {said} {a}.
"Can you say it without looking?" {asked} {a}. "<L>," {answered} {b}.
{a} forgot it at once, but {b} did not: <L>.
{a} said it {how}: <L>.
"Well done," {said} the teacher.
{a} said it even in {a.his} sleep: <L>.
Nobody knows who made it up.
That was all.
""")

# === Songs, rhymes and spells ===

STAGES["song"] = _lines("""
{A} sang a song. "<L:{nonsense}, {nonsense2}, {nonsense3}, {noun} and {noun2}>," {a.he} sang. "The {topic} is {adj}, the {animal} is {adj2}. <L>."
{A} sang: "<L:Sing, {A}, sing, the {noun} is {adj}>. The {animal} can {do}. <L>. The {animal2} can {do}. <L>."
{A} and {B} made up a song: "<L:{adj} is the {noun}, {adj2} is the {noun2}>, {nonsense}, {nonsense2}. <L>, {nonsense3}."
{A}'s lullaby goes like this. "<L:Sleep, little {animal}, sleep {well}>. The {noun} is {adj}. <L>. The {noun2} is {adj2}. <L>."
The {grown} had a song: "<L:{do'}, my {animal}, {do}>. In {month} the {noun} is {adj}. <L>."
The {hero.s} marched and sang: "<L:{counting}, {counting2}, {counting3}, {noun}>! Left, right. <L>! Left, right. <L>!"
The {animal} sang, "<L:{noise}, {noise2}, {noise3}>." The {animal2} answered, "<L>."
This is how the song goes: "<L:{invented}, {invented2}, oh my {noun}>. The {animal} is {adj}. <L>. The {animal2} is {adj2}. <L>."
This is the rhyme of the {noun}: <L:{S:counting:4-8,}>. Clap your hands and say it again: <L>.
All together now: "<L:{S:nonsense:3-7,}>." And once more: "<L>."
Round and round they danced. "<L:{noun'}, {noun2}, round we go>," sang {A}. "<L>," sang {B}. "<L>," sang they all.
"<L:{A}, {A}, where have you been>?" they sang. "I have been to see the {noun}." "<L>?" they sang. "I have been to see the {noun2}."
"<L:Wake up, {noun}, wake up, {noun2}>," sang {A}. Nothing happened. "<L>," {a.he} sang again, and the {noun} woke up.
"<L:{invented} {invented2} {invented3}>," said the {hero}, and the {noun} began to {do}. "<L>," said {A}, and the {noun2} began to {do} too.
The {hero} taught {A} a spell. "Say <L:{invented} {invented2}>," said the {hero}. "<L>," said {A}. "Again." "<L>," said {A}.
There is a bell in the tower. It says "<L:{noise}, {noise2}>" in the morning and "<L>" in the evening.
One {noun}, two {noun2.s}, three {noun3.s}. <L:{do'}, {noun}, {do}>. One {noun}, two {noun2.s}, three {noun3.s}. <L>.
The frog says {noise}, the cat says {noise2}, and {A} says <L:{invented}>. The frog says {noise}, the cat says {noise2}, and {A} says <L>.
Hush, said the {noun}. Hush, said the {noun2}. <L:{adverb'} and {adverb2}>, said {A}. Hush, said the {noun}. Hush, said the {noun2}. <L>, said {A}.
""")

STAGES["after song"] = _lines("""
They sang it again and again: "<L>."
"What {praise.a} song," said the {grown}.
And if you listen, you can still hear it: "<L>."
That is how it ends.
Then all was quiet.
The whole village learned it: "<L>."
""")

# === Letters ===

STAGES["greeting"] = _lines("""
Dear Grandma,
Dear Grandpa,
Dear Mom and Dad,
Dear {A},
Dear {A} and {B},
Dear {family},
Dear Diary,
Dear teacher,
Dear Mr. {A=he},
Dear Mrs. {A=she},
Dear {trait} {hero},
My dear {A},
""")

STAGES["news"] = _lines("""
How are you? I am {glad}.
I am writing to you from {land}.
Today I met {A}. {A} is {trait}.
My new friend is called {A}. Do you know {A}?
We have a new teacher. Her name is {A=she}, and she is {trait}.
Yesterday I found {N} {spot}. I will show you the {n} when you come.
Thank you for the {thing}. The {thing} is {praise}, and I use it every day.
I have lost my {thing}. Have you seen {color.a} {thing}?
It is {weather} here. Is it {weather} where you are?
I have learned a new word. It is "<t:{invented}>." Say it aloud: "<t>."
We ate <t:{S:food:2-5}>. I like <t>.
Please send me <t:{S:thing:2-5}>. Do not forget: <t>.
I saw {animal.a}, and the {animal} saw me.
I can {do} now. Can you {do}?
I have read a book about {hero.a}. The {hero} was {trait}.
I am {#6-12} years old now. When I was {#-1:count}, I could not {do}.
Our {pet} had {#2-6} babies. I may keep one, so {#-1:count} need a home.
At school we sang {music.a} about the {topic}.
{a} says hello. I told {a} all about you.
I miss you. Do you miss me too?
Do you still have the {thing}? If you do, please bring the {thing}.
On {weekday} we will go to the {place}. Come to the {place} too.
My {family} is {need}, but I am {glad}.
{A} gave me {N}. I said, "Thank you, {A}."
What is your favorite color? Mine is {color}, and I have {color.a} {clothes}.
""")

STAGES["farewell"] = _lines("""
Love, {A}
Your {A}
Your friend {A}
With love from {A} and {B}
Yours, {A}
See you soon, your {A}
Write soon. Your {A}
Many greetings from {land}, your {A}
Goodbye, and do not forget your {A}
Good night. Your {family} {A}
""")

# === Questions about what was told ===

STAGES["question"] = _lines("""
Who has the {o}? {g:holder} has it.
Who has the {o}? {g:holder}.
What does {g} have? The {o:object}.
Who holds the {o} now? It is {g:holder}.
Question: Who has the {o}? Answer: {g:holder}.
Where are they? {p.at'}.
Where are {a} and {b}? At the {p:place}.
Has {g:-} still got the {o}? Yes, {g} has got it.
"Do you know who has the {o}?" "Yes, {g:holder}."
Who is here? {a} is here, and so is {b}.
What is the name of the {z}? {y:name}.
What is {y}? A {z:word}.
Where is the {l}? It is {l.spot}.
Where did {x:-} go? To the {w:place}.
What did {x:-} want to get? Some {f:word}.
Who went to the {w}? {x:away} did.
What color is the {o}? It is {o.color}.
""")

# === Words that are new ===

STAGES["new word"] = _lines("""
{A} found a strange thing. It was called a {I}.
{A} had a thing called a {I}. Nobody but {A} had a {i}.
{A} made a {I} out of {stuff}. "What is a {i}?" {asked} {B}. "This is a {i}," {answered} {A}.
{A} had never seen a {I} before.
"Do you know what a {I} is?" {asked} {A}. "No, what is a {i}?" {said} {B}.
"I need a {I}," {said} {A}. "A {i}?" {asked} {B}. "Yes, a {i}," {said} {A}.
A {I} is {beast} and {color}, and it lives {spot}. {A} had a {i}.
A {I} is a kind of {noun}. {A} and {B} wanted to see a {i}.
In {land}, people eat {I}. "Do you like {i}?" {asked} {A}.
Once there was {trait.a} {I}. The {i} lived {spot}, and {A} was its friend.
Once upon a time, there was a little {I} who could not {do}. "Poor {i}," {said} {A}.
The {I} is a rare animal. Only {A} has ever seen a {i}.
There was a {I} {spot}. {A} looked at the {i}, and the {i} looked at {A}.
Today we learn what a {I} is. A {i} is {adj.a} {noun}.
{A} played the {I}. It is not easy to play the {i}.
""")

STAGES["use word"] = _lines("""
The {i} was {adj} and {adj2}.
"Give me the {i}," {said} {a}.
"May I hold the {i}?" {asked} {grown.a}.
{a} liked the {i} very much.
{a} put the {i} {spot}.
{a} painted the {i} {color}.
Then the {i} {did}.
"What is that?" asked the {grown}. "It is a {i}," {said} {a}.
"Is the {i} {adj}?" asked a child. "No, the {i} is {adj2}."
Nobody has a {i} like this one.
"{i'}," {said} {a}, again and again.
One {i} is good, but {#2-9} are better.
A {i} can {do}, you know.
When {a} lost the {i}, {a.he} was {sad}. But then the {i} was found {spot}.
Everybody in the village talked about the {i}.
With a {i} you can do many things.
The {grown} bought the {i} for {#3-9} coins.
That night, {a} dreamed of a {i}.
""")

# === In the first person ===

STAGES["diary"] = _lines("""
My name is {A}, and I am {#6-12} years old.
My sister {A=she} has {adj.a} {pet}.
My brother {A=he} has {adj.a} {pet}.
My best friend is called {A}.
I am {A}, and this is my day.
I live in a {size} {color} house with my {family} {A}.
I have a {pet} called {Y}. I got it from {A}.
Today is {weekday}. I am at the {place} with {A}.
Today I woke up early, because {A} was coming.
On {weekday}, my {family} and I went to see {A}.
Yesterday I met {trait.a} {grown} named {A}.
When I was little, I lived {P.at} with {A}.
""")

STAGES["day"] = _lines("""
I had {thing.a} with me, and {a} liked the {thing}.
I showed {a} how to {do}. Now {a} can {do} too.
I asked {a} what time it was. "It is {#2-12}," {a} said. So it was {#:count}.
I said, "{a}, I am {need}." "Here is some {food}," said {a}. I ate the {food}.
I wore my {color} {clothes}. Nobody else had {color.a} {clothes}.
I wrote my name on the wall, and {a} wrote {a.his} name too: {a}.
I counted {#2-9} {animal.s}. {a} said there were {#:count} too.
I like {noun.s}, but {a} likes {noun2.s}.
I was {sad}, but {a} made me laugh.
I learned to say "<t:{S:invented:1-3,}>." "<t>," I said.
We ate {food} and {food2}. I like {food} more.
We played {game}, and {a} won. I like {game} anyway.
We saw {animal.a}. "That is {animal.a}," I said.
We talked about {idea}.
{a} gave me {N}. I gave {a} {flower.a} for the {n}.
{a} told me a secret. I must not tell you the secret of {a}.
{a} asked me, "What is your favorite animal?" "The {animal}," I said. "The {animal}?" asked {a}.
My {family} came too, and {a} said hello to my {family}.
Then {trait.a} friend of mine came. Her name was {B=she}.
Then {trait.a} friend of mine came. His name was {B=he}.
It was {weather}, so {a} and I went home.
The {grown} said that I was {trait}.
""")

STAGES["night"] = _lines("""
Now I am {need}. Good night.
Tomorrow I will see {a} again.
That was my day with {a}.
I will never forget {a}.
I hope that tomorrow will be {weather}.
Good night, {a}.
I am {glad} to have a friend like {a}.
""")

# === Riddles and jokes ===

STAGES["riddle"] = _lines("""
I am {adj} and {adj2}, and I live {spot}. What am I? A {beast} {animal}, of course.
I have {#2-8} legs and I can {do}. What am I? Something with {#:count} legs.
I am {color} and I am {adj}. "Are you {thing.a}?" asked {A}. Yes, I am {thing.a}.
What is {color}, {adj} and has {body.a}? "I do not know," said {A}. {color.a'} {adj} {animal} with {body.a}.
What does the {animal} say? The {animal} says {noise}.
What do you call {animal.a} that can {do}? "{animal.a'} that can {do}," said {A}.
Why did the {animal} cross the road? To get to the {place}. Why did the {animal2} cross the road? Because the {animal} was at the {place}.
Knock, knock. Who is there? {A}. {A} who? {A} from next door.
Knock, knock. Who is there? The {noun}. The {noun} who? The {noun} you ordered.
How many {animal.s} fit into {vehicle.a}? {A} said {#2-9}. "{#:count'}?" asked {B}. "{#:count'}," said {A}.
How much is {#2-9} and none? "{#:count'}," said {A}.
Riddle: It is {adj}, it is {color}, and you can find it {spot}. Answer: {thing.a}.
{A} asked {B} a riddle. "What is {taste} and {color}?" "{food'}," said {B}. "Right, {food}," said {A}.
{A} asked {B}, "Who is {trait} and lives in the {building}?" "The {grown}," said {B}. And so it was: the {grown}.
{A} told a joke about {animal.a} and {animal2.a}. "The {animal} says {noise}, and the {animal2} says {noise2}." {B} laughed about the {animal2}.
If {noun.a} is {adj} and {noun2.a} is {adj2}, which one is {adj}? The {noun}.
Which is bigger, {animal.a} or {animal2.a}? "{animal2.a'}," said {A}. "No, {animal.a}," said {B}.
""")
STAGES["another riddle"] = STAGES["riddle"]
