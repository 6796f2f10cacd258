// How Sphinx's search ranks what it finds: lessons first, then the other pages, then the reference.
var Scorer = {
    score: ([page, , , , score]) => {
        const rank = page.startsWith("notebooks/") ? 2 : page.startsWith("reference/") ? 0 : 1;
        return 1000 * rank + score;
    },
    // Within each, by what a word was found in.
    objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
    title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
