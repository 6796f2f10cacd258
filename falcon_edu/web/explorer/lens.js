// The logit lens: what is told of each stage of a token, and where: pure functions, without a page.
//
// A stage is the embedding, or what comes after a layer. `seen` is as in `looks.js`, and has
// columns[query][stage]: {guess, rank, probability}, the token that the Falcon would say, and how
// well the token that truly comes does there, from 1; of the last token these two are null.

import { strongest } from "./looks.js";
import { percent, spoken } from "./words.js";
import { softmax } from "../layers.js";

const MOST_RANK = 3; // its logarithm: from there on all ranks look alike
const [LABELS, COLUMN] = [88, 58]; // pixels that the names of stages, and a column, need
const MOST_COLUMNS = 14;

/** Return what is told of logits (v,), given the id that truly comes, or undefined. */
export function told(logits, next_id, vocabulary) {
  const guess = vocabulary[strongest(logits)];
  if (next_id === undefined) return { guess, rank: null, probability: null };
  const above = logits.reduce((count, x) => count + (x > logits[next_id]), 0);
  const probability = softmax(Float32Array.from(logits))[next_id];
  return { guess, rank: above + 1, probability };
}

/** Return the strength of a cell's color, from 0 to 1: of a rank its logarithm counts. */
export function strength({ rank, probability }, show) {
  if (rank === null) return 0;
  return show === "rank" ? Math.max(0, 1 - Math.log10(rank) / MOST_RANK) : probability;
}

/** Write the number of a cell; nothing where no token comes next. */
export function number({ rank, probability }, show) {
  if (rank === null) return "";
  return show === "rank" ? String(rank) : percent(probability);
}

/**
 * Return which columns are shown in a width: the first, and one after the last. They stay where
 * they are, from `now` on, if a query is among them; else they go where it is.
 */
export function columns_shown(width, count, query, now = null) {
  const room = Math.floor((width - LABELS) / COLUMN);
  const columns = Math.max(1, Math.min(MOST_COLUMNS, room, count));
  const is_there = now !== null && query >= now && query < now + columns && now + columns <= count;
  if (is_there) return [now, now + columns];
  const wanted = query - Math.floor((columns * 2) / 3); // more of what comes before it
  const first = Math.max(0, Math.min(wanted, count - columns));
  return [first, first + columns];
}

/** Return the name of a stage. */
export const stage_name = (stage) => (stage ? `after layer ${stage - 1}` : "embedding");

// What is told of the token that comes: at one stage, at all.
const WHAT = { rank: ["rank", "ranks"], probability: ["probability", "probabilities"] };

/** Say in a sentence what all stages, or one of them, tell of a token. */
export function lens_sentence({ tokens, columns }, { query, stage = null }, show) {
  const stages = columns[query];
  const [here, next] = [query, query + 1].map((i) => i in tokens && spoken(tokens[i], i === 0));
  const is_all = stage === null;
  const of = is_all ? stages.at(-1) : stages[stage];
  const where = is_all ? "In the end" : stage ? `After layer ${stage - 1}` : "At the embedding";
  const best = `${where}, the best guess after ${here} is ${spoken(of.guess)}`;
  if (!next) return `${best}.`;
  const numbers = (is_all ? stages : [of]).map((each) => number(each, show)).join(", ");
  return `${best}. ${next}, which comes, has ${WHAT[show][Number(is_all)]} ${numbers}.`;
}
