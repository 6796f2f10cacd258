"""Hold the names of the tales: some that come often, and so many others that none is worth learning.

`FAMILIAR_NAMES` are the forty of the first tales. `NAMES` has real names of many languages and
made-up ones, with accents, hyphens, apostrophes and two words. `HELD_OUT_NAMES` are real names that
no tale has: with them one measures what a model does with the name of a reader.
"""

import random

from falcon_edu.corpora import words
from falcon_edu.corpora.pools import Pool

FAMILIAR_NAMES = (
    "Mia Anna Lily Rose Ella Nora Ruth Ivy Zoe Clara Emma Lucy Maya Nina Alma Hana Ada Leila Sofia Tara "
    "Tom Ben Sam Max Leo Finn Jack Omar Hugo Ravi Theo Noah Luca Adam Kofi Emil Ivan Oscar Paul Ned"
).split()

PET_NAMES = (
    "Biscuit Pepper Rusty Daisy Patch Honey Bramble Muffin Shadow Clover Ginger Teddy Pickle Socks Button Smokey "
    "Noodle Peanut Fudge Waffle Pumpkin Domino Whiskers Scout Toffee Maple Acorn Pudding Sparky Bandit Hazelnut "
    "Comet Cricket Jasper Nutmeg Olive Pebble Radish Sesame Thistle Truffle Turnip Velvet Widget Ziggy Snowball"
).split()

_REAL = """
Aaliyah Aaron Abdul Abebe Abel Abena Abigail Abraham Achim Adaeze Adela Adelina Adil Aditi Adrian Adriana Agata Agnes
Agnieszka Ahmad Ahmed Aida Aidan Aiko Aileen Aimee Aino Aisha Ajay Akash Akemi Akiko Akira Akosua Alain Alan Alba
Albert Alberto Aldo Alejandra Alejandro Aleksander Alena Alessandra Alessandro Alessia Alex Alexander Alexandra Alexis
Alfonso Alfred Ali Alice Alicia Alina Alisha Alistair Aliyah Allison Alvaro Alwin Amadou Amal Amalia Amanda Amara
Amelia Amelie Amina Amir Amit Amos Amparo Amrita Amy Ana Anahita Anand Ananya Anastasia Anders Andre Andrea Andreas
Andrei Andres Andrew Aneta Angela Angelica Angelo Angus Anika Anil Anita Anja Ankita Annabel Annette Annika Anouk
Anselm Anton Antonia Antonio Anya Apollo Arash Archie Ari Ariadne Ariana Arjun Arlo Armando Arne Arnold Arthur Arturo
Arun Arvid Asa Asha Ashley Asif Asma Astrid Atsuko Aubrey Audrey August Aurelia Aurora Austin Ava Avery Aviva Axel
Ayana Aylin Ayo Aziz Azra Babak Bahar Bao Barbara Barnaby Barry Bart Basil Bastian Beata Beatrice Beatriz Bela Belen
Belinda Benedict Benito Benjamin Benoit Berit Bernard Bernice Bertha Bessie Beth Bethany Betty Bianca Bilal Birgit
Bjorn Blake Blanca Bo Bogdan Boris Bosco Bram Brandon Branko Brenda Brian Bridget Britta Bronwyn Bruce Bruno Bryn
Burak Caitlin Caleb Callum Camila Camille Carina Carl Carla Carlos Carmen Carol Caroline Carter Casper Cassandra
Catalina Catherine Cecilia Cecily Cedric Celeste Celia Celine Chad Chana Chandra Chang Chantal Charles Charlie
Charlotte Chau Chen Chiara Chidi Chika Chioma Chloe Chris Christa Christian Christina Christoph Chun Claire Clarence
Claude Claudia Claus Clemens Clement Clio Clive Cole Colin Colm Conan Connor Conrad Constance Cora Cordelia Corinna
Cosima Craig Cristina Cyril Cyrus Dafydd Dagmar Daichi Dalia Damian Damien Dana Daniel Daniela Danilo Danny Dante
Daphne Daria Darius Darren Dave David Davide Dawn Dawit Dean Deborah Declan Deepak Delia Delphine Demi Denis Denise
Dennis Derek Derya Desmond Desta Devi Devon Dewi Diana Diego Dieter Dilara Dima Dimitri Dina Dinesh Dirk Diya Djamila
Dmitri Dolores Dominic Dominik Donald Donato Donna Dora Doreen Doris Dorothea Dorothy Douglas Dragan Duncan Dylan
Eamon Ebba Ebele Ebru Eckhard Edda Eddie Edgar Edith Edmund Edna Edoardo Eduardo Edward Edwin Efua Egon Eileen Einar
Eino Eira Eirik Elaine Eleanor Elena Eleni Elias Elif Elijah Elin Elio Eliot Elisa Elisabeth Elise Eliza Elizabeth
Elke Ellen Ellie Elliott Elmar Elodie Eloise Elsa Elsie Elvira Emeka Emerson Emilia Emiliano Emilio Emily Emine Emir
Emmanuel Enda Enid Enrico Enrique Enzo Eric Erica Erik Erika Erin Ernest Ernesto Esme Esperanza Esra Esteban Estelle
Esther Etta Eugene Eugenia Eunice Eva Evan Evangeline Eve Evelyn Ezra Fabian Fabio Fadi Faisal Faith Fania Farah Farid
Faris Fatima Fatou Faye Federica Federico Felicia Felicity Felipe Felix Femi Feng Ferdinand Fergus Fernanda Fernando
Fiona Fleur Flora Florence Florian Floyd Folami Franca Frances Francesca Francesco Francis Francisco Frank Franz Fred
Freda Frederick Freya Frida Frieda Fritz Fumiko Gabriel Gabriela Gael Gareth Garth Gaston Gavin Gemma Genevieve Geoff
George Georgia Georgina Gerald Gerard Gerda Gertrude Ghassan Gian Gianni Gideon Gilbert Giles Gillian Gina Ginny
Giorgio Giovanna Giovanni Gisela Giselle Gita Giulia Giulio Gladys Glen Gloria Godwin Goran Gordon Grace Graham Greg
Greta Griffin Grigor Guido Gunnar Gunther Gustav Gwen Habiba Hadi Hadley Hagen Haider Hakan Halima Hamid Hamza Hank
Hannah Hannes Hans Haris Harold Harriet Harris Harry Harumi Harvey Hasan Hassan Hazel Heather Hector Hedda Hedwig
Heidi Heiko Helen Helena Helga Helmut Henning Henri Henrietta Henrik Henry Herbert Herman Hessa Hilda Hillary Hiroko
Hiroshi Holger Holly Hong Hope Horace Horst Howard Huda Hugh Humphrey Hussein Ian Ibrahim Ida Idris Ifeoma Ignacio
Igor Ike Ilaria Ilse Iman Imani Imke Imogen Imran Ina India Indira Ines Inga Inge Ingrid Ioana Irene Irina Iris Irma
Isa Isaac Isabel Isabella Isadora Isaiah Isha Ishaan Isis Isla Ismael Isobel Issa Italo Ivana Ivar Ivo Iwan Jacinta
Jacob Jacqueline Jade Jaime Jakob Jalal Jamal James Jamie Jamila Jan Jana Jane Janet Janina Janine Janis Janosch
Jared Jarek Jasmin Jasmine Jason Javier Jay Jaya Jayden Jean Jeanette Jeff Jelena Jemima Jenna Jennifer Jenny Jens
Jeremy Jerome Jess Jesse Jessica Jesus Jette Jill Jim Jin Jiro Joachim Joan Joanna Joao Jochen Jodie Joe Joel Johan
Johanna Johannes John Jolanda Jon Jonah Jonas Jonathan Jordan Jordi Jorge Jorn Jose Josef Josefina Joseph Josephine
Josh Joshua Josie Joy Joyce Juan Juana Juanita Judith Judy Juhani Jules Julia Julian Juliana Julie Juliet Julio Julius
Jun June Jurgen Justin Justine Jutta Kabir Kacper Kai Kalinda Kamal Kamila Kana Karen Karim Karin Karina Karl Karla
Karolina Kasper Katarina Kate Katerina Katharina Katherine Kathleen Katia Katie Katja Katrin Kay Kaya Kazuki Keanu
Keiko Keith Kelechi Kelly Kelvin Kemal Ken Kenji Kenneth Kerstin Kevin Khadija Khaled Khalid Kieran Kiki Kim Kimberly
Kira Kiran Kirk Kirsten Kit Kjell Klara Klaus Knut Koji Konrad Konstantin Kristen Kristian Kristina Krzysztof Kurt
Kwabena Kwame Kwesi Kyle Kylie Lachlan Laila Lakshmi Lamar Lana Lance Lara Lars Larissa Lasse Latifa Laura Lauren
Laurence Laurent Lavinia Lawrence Layla Lea Leah Leander Leandro Lee Leif Lena Leni Lennart Lenny Leo Leon Leona
Leonard Leonardo Leonie Leonor Leopold Leroy Leslie Lester Leticia Levi Lewis Lia Liam Liana Libby Lidia Liesel Lila
Lilian Liliana Lilith Lin Lina Linda Ling Linnea Linus Lionel Lisa Lisbeth Lise Liv Livia Liz Lloyd Loki Lola Loretta
Lorenz Lorenzo Loris Lotta Lotte Lou Louis Louisa Louise Luan Lucas Lucia Luciana Luciano Lucien Lucile Lucinda
Ludmila Ludwig Luigi Luis Luisa Luka Lukas Luke Lulu Luna Lutz Luz Lydia Lynn Mabel Maddie Madeleine Madison Mads
Magda Magnus Maha Mahmoud Mai Maja Makena Malachi Malala Malcolm Malia Malik Malin Mandy Manfred Manuel Manuela Mara
Marc Marcel Marcelo Marcia Marco Marcos Marcus Maren Margaret Margarita Margot Mari Maria Mariam Marian Mariana Marie
Marija Marika Marina Mario Marion Marisol Marit Marius Marjorie Mark Marko Markus Marlene Marlon Marta Martha Martin
Martina Mary Maryam Masha Mateo Mathilda Matilda Mats Matt Matteo Matthew Matthias Maud Maura Maureen Maurice Mauro
Mavis Maxim Maximilian Maxine Mbali Megan Mehdi Mehmet Mei Melanie Melinda Melissa Melvin Mercedes Meredith Merle
Micah Michael Michaela Michal Michel Michelle Midori Miguel Mika Mikael Mike Mikhail Mila Milan Milena Miles Milo
Mimi Mina Ming Minna Minnie Mira Miranda Mireille Miriam Miro Mirza Misaki Mitch Mohamed Moira Molly Mona Monica
Monika Morag Morgan Moritz Morris Morten Moses Muhammad Muriel Murray Musa Mustafa Myles Myra Myrtle Nabil Nada
Nadia Nadine Nadir Naima Nalini Nancy Nandi Nanette Naoki Naomi Nasrin Natalia Natalie Natasha Nate Nathalie Nathan
Nathaniel Navid Neil Nell Nelly Nelson Neo Nerea Nerys Neve Neville Ngozi Nia Niamh Niccolo Nicholas Nick Nico
Nicola Nicolas Nicole Niels Nigel Nikita Nikolai Nikos Nils Nisha Nizar Noam Noel Noelle Noemi Nolan Noor Norbert
Norma Norman Nour Nuno Nura Nuria Nyah Oda Odette Odin Odysseus Okan Oksana Olaf Olga Olive Oliver Olivia Ollie Olu
Omari Ondine Onur Oona Ophelia Orhan Oriana Orla Orlando Orson Orville Osama Osman Oswald Otis Otto Ottilie Owen
Pablo Paige Paloma Pamela Paola Paolo Parisa Pascal Pasquale Patience Patricia Patrick Patty Paula Pauline Paulo
Pavel Pearl Pedro Peggy Penelope Penny Per Percy Perdita Peregrine Perla Petar Pete Peter Petra Petronella Phil
Philip Philippa Phoebe Phyllis Pia Pierre Pilar Piotr Pippa Pixie Polly Portia Priscilla Prudence Qasim Quentin Quincy
Quinn Rachel Rafael Raffaella Rahel Rahul Raisa Raj Rajesh Ralf Ralph Ramon Ramona Rana Randy Rania Raoul Raphael
Raquel Rashid Raul Ray Raymond Rayyan Rebecca Regina Reiko Reinhard Remi Rena Renata Rene Renee Reuben Rex Reza Rhea
Rhiannon Rhoda Rhys Ricardo Riccardo Richard Rick Rico Rita River Rob Robert Roberta Roberto Robin Rocco Roderick
Rodney Rodrigo Roger Roisin Roland Rolf Roman Romeo Romy Ron Ronald Ronan Rory Rosa Rosalie Rosalind Rosanna Roscoe
Rosemary Rosie Ross Rowan Roxanne Roy Ruben Ruby Rudi Rudolf Rufus Rupert Russell Ruslan Ryan Saba Sabina Sabine
Sabrina Sacha Sadia Sadie Safiya Saida Salim Sally Salma Salman Salome Salvador Samantha Samara Sami Samira Samson
Samuel Sandra Sandro Sandy Sanjay Santiago Sara Sarah Sarita Sasha Saskia Saul Savannah Scarlett Scott Sean
Sebastian Selena Selim Selma Serena Sergei Sergio Seth Shabnam Shane Shanti Sharon Shaun Sheila Shelly Shinji Shira
Shirin Shirley Shreya Sidney Siegfried Sienna Signe Sigrid Silas Silja Silke Silvia Simeon Simon Simona Simone
Siobhan Sirena Sita Skye Sofie Soledad Solomon Solveig Sonia Sonja Sophia Sophie Spencer Stacy Stanley Stefan
Stefania Steffi Stella Stephanie Stephen Steve Stig Stuart Sue Suki Sukie Suleiman Sultan Sumi Sunita Suri Susan
Susanna Susie Suzanne Sven Svetlana Sybil Sylvester Sylvia Tabea Tabitha Tadeusz Tai Takashi Talia Talitha Tamar
Tamara Tamika Tamsin Tania Tanja Tanya Taras Tariq Tarun Tasha Tatiana Ted Tegan Terence Teresa Terry Tess Tessa
Thabo Thalia Thea Thelma Theodora Theodore Theresa Thilo Thomas Tia Tiago Tibor Tiffany Tilda Till Tilly Tim Timo
Timothy Tina Tine Tobias Toby Todd Tomas Tomoko Toni Tony Tor Tore Torsten Tove Tracy Travis Trevor Tricia Trina
Tristan Trudy Tuan Tucker Tuomas Tyler Tyra Ugo Uli Ulla Ulrich Ulrike Uma Umar Una Uri Ursula Uta Uwe Valentin
Valentina Valeria Valerie Vanessa Vasco Vasily Veda Vera Verena Verity Vernon Veronica Vic Victor Victoria Vida
Vijay Vikram Viktor Vince Vincent Viola Violet Virgil Virginia Vito Vittorio Vivian Vivienne Vlad Volker Wade Walid
Wally Walter Wanda Wanjiru Warren Wayne Wei Wendy Werner Wesley Wilbur Wilfred Wilhelm Will Willa William Willow
Wilma Winifred Winston Wolf Wyatt Xander Xanthe Xenia Ximena Yael Yara Yasin Yasmin Yasuko Yelena Yosef Yoshi Yuki
Yuri Yusuf Yves Yvette Yvonne Zachary Zadie Zahir Zahra Zainab Zak Zara Zelda Zeno Zia Zina Zofia Zohra Zola Zora
Zuri Zuzana
Agnès Alfonsína Álvaro Amélie Anaïs André Anıl Antônio Aöife Ástrid Aurélie Ayşe Bärbel Beáta Béla Benoît Błażej Çağla
Cécile Chloé Cléa Clémence Dóra Éamon Edín Élise Éloïse Émile Esmé Étienne Fátima Félix François Frédéric Gaël Gáspár
Gölge Günther Hélène Héctor Inès Íris Isabél Jérôme João Jolán Jörg José Jürgen Kári Käthe Klára Léa Lénaïg León Lidiá
Lóránt Loïc Lucía Ludvík Łukasz Maëlle Magnús Maïté Márk Márton María Mélanie Míriam Mónica Mörike Nadège Naïs
Nicolás Noël Nóra Ólafur Oisín Óscar Pál Péter Pétur Ráchel Ramón Raphaël Raúl René Renée Róbert Róża Rüdiger Sándor
Sébastien Séverine Sigurður Šimon Sólveig Sofía Stéphane Şule Théa Théo Thérèse Tomáš Tünde Úrsula Václav Valérie
Věra Viktória Wiesław Yaël Zoë Zdeněk Żaneta Þóra Øystein Åsa Ægir
"""

# Kept out of every tale: real names, one to many pieces long, some of two words.
_HELD_OUT = (
    "Priya Wolfgang Siddharth Svetozar Nkechi Thandiwe Oluwaseun Temperance Bartholomew Cornelius Montgomery Philomena "
    "Hildegard Annegret Friedhelm Gwendolyn Llewellyn Myfanwy Angharad Cadwallader Blodwen Eluned Ffion Gethin Iolanthe "
    "Ottoline Clementine Serafina Valentijn Joost Sjoerd Femke Maartje Wietske Thijs Anneliese Roswitha Mechthild "
    "Leocadia Genoveva Guadalupe Consuelo Inmaculada Purificación Xochitl Cuauhtémoc Itzel Nayeli Quetzal Tlalli "
    "Yamileth Wilmer Freddy Jhon Maicol Yuliana Leidy Brayan Deisy Nohemi Ezequiel Facundo Lautaro Thiago Joaquín "
    "Agustín Rocío Nuño Begoña Iñaki Ainhoa Xabier Maialen Garazi Unai Eneko Itziar Aitana Oriol Montserrat Meritxell "
    "Jaume Arnau Núria Laia Biel Gorka Amaia Leire Ohiane Uxue Zuriñe Benedetta Ludovica Ginevra Tommaso Pierluigi "
    "Gianluca Beatrix Eszter Zsófia György Lajos Ildikó Csilla Gergő Balázs Bence Kinga Réka Dorottya Szabolcs "
    "Przemysław Małgorzata Grzegorz Zbigniew Kazimierz Bronisława Jadwiga Elżbieta Wojciech Michalina Stanisław "
    "Ludmiła Bohumil Květoslava Jaroslav Radka Zdislava Matěj Ondřej Vojtěch Štěpán Kateřina Bohdana Mykola Oleksandr "
    "Olena Taisiya Yaroslava Kseniya Svitlana Vyacheslav Lyudmila Timofei Arkady Zinaida Evdokia Rustam Gulnara Aigul "
    "Nursultan Zhanna Bakhyt Dilnoza Farrukh Shahnoza Otabek Jasur Ngaio Aroha Wiremu Hinemoa Tāne Rangi Kahurangi "
    "Mereana Tamatea Leilani Keoni Kaimana Nalani Makoa Iolana Tevita Siosaia Lupe Malakai Tadashi Haruki Chihiro "
    "Ryunosuke Sakura Hotaru Tomohiro Ayaka Shunsuke Yumeko Kaoru Nanami Xiaoling Zhenyu Jingyi Yichen Haoran Xinyi "
    "Mingxia Guowei Weizhen Seo-yeon Ji-woo Min-jun Hae-won Eun-ji Kyung-soo Ye-jin Tae-hyung Nguyệt Thảo Quỳnh Đức "
    "Hương Trâm Khánh Bảo Phượng Somchai Malee Anong Kanya Prasert Siriporn Wayan Ketut Nyoman Sri Dewanti Rizky "
    "Anjani Bambang Siti Nurhaliza Yudhi Cahyani Datu Bayani Ligaya Dalisay Maricel Jejomar Venkatesh Lakshmana "
    "Subramaniam Meenakshi Kavitha Thirumalai Anbarasan Senthil Yazhini Oviya Gurpreet Harjinder Manpreet Jaswinder "
    "Balwinder Simranjit Farzana Nusrat Tahmina Shafiqul Rezaul Mehrunissa Zulfiqar Parveen Sumaira Fereshteh Golnaz "
    "Khosrow Siavash Niloufar Rostam Shahrzad Bijan Parvaneh Gülşah Çiğdem Tuğba İbrahim Şebnem Oğuzhan Nilgün "
    "Yağmur Barış Abdurrahman Abdelkader Khadidja Messaoud Yamina Nassima Zineb Oumaima Ghizlane Tesfaye Mulugeta "
    "Birhane Selamawit Tsehay Getachew Wanjiku Kamau Njoroge Achieng Otieno Nyambura Mwangi Chebet Kiprotich Adebayo "
    "Olufunmilayo Chukwuemeka Nneka Obinna Ngozichukwu Folasade Babatunde Yetunde Aderonke Zanele Sibusiso Nomvula "
    "Lerato Tshepo Nokuthula Bongani Kagiso Fatoumata Mamadou Ousmane Aminata Djibril Anne-Sophie Jean-Baptiste "
    "Marie-Claire Karl-Heinz Hans-Peter Lise-Lotte O'Malley O'Connor D'Angelo D'Arcy McKenzie MacGregor "
    "Van Buren|De la Cruz|Al Amin|Mary Ellen|Billy Joe|Ana Lucía|Saoirse|Caoimhe|Tadhg|Aoibheann|Eoghan|Gráinne|"
    "Pádraig|Sorcha|Fionnuala|Cillian|Dearbhla|Muireann|Ruairí|Björk|Þorsteinn|Guðrún|Sigríður|Ragnheiður|Håkon|"
    "Ingeborg|Torbjørn|Åshild|Sørine|Jørgen|Kjersti|Øyvind|Bjørnstjerne|Märta|Göran|Åke|Birgitta|Väinö|Päivi|Yrjö|"
    "Tuulikki|Sirkka|Mäkinen|Loreley|Käte|Jörn|Heiner|Ortrud|Waltraud"
)
_one_word, _, _others = _HELD_OUT.partition(" Van Buren|")
HELD_OUT_NAMES = (*_one_word.split(), "Van Buren", *_others.split("|"))

_FIRST_HALVES = "Anna Anne Jean Marie Mary Hans Karl Lee Eva Rose Juan Luis Ella Emma Billy Sara Li Mei Bo Jo Kim Maj".split()
_SECOND_HALVES = "Lena Luc Louise Paul Jo Ann Peter Britt Maria Lise Sue Lou May Jane Ray Belle Lin Hua Yun Ping Sophia Beth".split()
_PARTICLES = "van de von al".split()
_FAMILY_NAMES = (
    "Dijk Berg Vries Boer Haan Jong Wit Groot Leeuw Luca Silva Santos Costa Rossi Mare Angelis Bach Stein Feld Wald "
    "Hassan Rashid Amin Farsi Masri Baker Hill Brook Lake Meer Bosch Linden Horst Ries Tal"
).split()
_IRISH = "Neil Brien Hara Shea Leary Dell Toole Casey Keefe Farrell Meara Rourke Grady Gorman Flynn Dea".split()

_ONSETS = (
    "b br c ch d dr f fl g gl gr h j k kl kr l m n p pl qu r s sh sk sl st t th tr v w y z".split()
)
_VOWELS = "a e i o u a e i o u ai ea ee ie oa oo ou au ei".split()
_MIDDLES = "b d f g k l ll m mm n nn nd ng r rr rl rt s ss st t tt th v z lv rm ld".split()
_CODAS = [
    "",
    "",
    "",
    "n",
    "r",
    "l",
    "s",
    "m",
    "k",
    "t",
    "nd",
    "th",
    "x",
    "sh",
    "rn",
    "lo",
    "na",
    "ra",
    "vi",
    "mo",
    "ka",
    "ria",
]
_ACCENTS = dict(
    pair.split(":")
    for pair in (
        "a:áàâäåãā c:çčć d:đď e:éèêëěē g:ğ i:íîïī l:ł n:ñńň o:óôöøőõ r:ř s:şšś t:ť u:úûüűū y:ý z:žżź"
    ).split()
)
MADE_UP = 20_000


def _made_up_names(count):
    """Return made-up names of one to four syllables; some have an accent or a capital inside."""
    draw = random.Random("names").random

    def one_of(options):
        return options[int(draw() * len(options))]

    found: dict[str, None] = {}
    while len(found) < count:
        name = one_of(_ONSETS) if draw() < 0.8 else ""
        name += one_of(_VOWELS)
        for _ in range(int(draw() * draw() * 4)):
            name += one_of(_MIDDLES) + one_of(_VOWELS)
        name += one_of(_CODAS)
        kind = draw()
        if kind < 0.15:
            place = int(draw() * len(name))
            accented = one_of(_ACCENTS.get(name[place], name[place]))
            name = name[:place] + accented + name[place + 1 :]
        name = name[0].upper() + name[1:]
        if kind > 0.98:
            name = f"Mac{name}" if draw() < 0.5 else f"Mc{name}"
        elif kind > 0.97:
            name = f"D'{name}"
        if len(name) > 1 and words.is_fit(name):
            found[name] = None
    return list(found)


# What may come out as a made-up name and is another word.
_NO_NAMES = (
    "The This That Them They Their There These Those Then Than She Her Hers His Him He We Us Our You Your It Its My Mine Me "
    "Who Whom Whose What When Where Why How Which And But For Not Now No Nor Or If In On At By Up To Too Two From With Is Are "
    "Was Were Be Been Has Had Have Can May Will Do Did Does Go Gone Went All Any Each Some Such Same One Once Only Out Over So "
    "Soon Still Here Hello Dear Yes Oh Ah Ha Hush Again Look Say Said Let Mr Mrs Mom Dad"
).split()


def _pool():
    joined = [f"{a}-{b}" for a in _FIRST_HALVES for b in _SECOND_HALVES if a != b]
    spaced = [f"{a} {b}" for a in _FIRST_HALVES for b in _SECOND_HALVES[::2] if a != b]
    families = [f"{particle} {name}" for particle in _PARTICLES for name in _FAMILY_NAMES]
    irish = [f"O'{name}" for name in _IRISH]
    made_up = _made_up_names(MADE_UP)
    other = {*FAMILIAR_NAMES, *PET_NAMES, *HELD_OUT_NAMES, *_NO_NAMES}
    other |= {word.capitalize() for word in words.CONTENT_WORDS}
    names = dict.fromkeys([*_REAL.split(), *joined, *spaced, *families, *irish, *made_up])
    return [name for name in names if name not in other]


NAMES = Pool(_pool())
