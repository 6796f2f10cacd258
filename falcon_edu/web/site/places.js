// Places of the site where a Falcon takes that of a picture, once one comes near.

import { mount } from "../explorer/explorer.js";
import { mount_logit_lens } from "../explorer/logit_lens.js";
import { mount_next_token } from "../explorer/next_token.js";
import { make } from "../explorer/parts.js";
import { fetch_falcon, near } from "./fetching.js";

const KINDS = { attention: mount, next_token: mount_next_token, logit_lens: mount_logit_lens };
const NUMBERS = ["layer", "head", "query"];

/** Show an explorer in a place, whose data say which, and of what; its picture stays till then. */
export async function fill(place) {
  const { model, text, kind = "attention", ...start } = place.dataset;
  for (const name of NUMBERS) if (name in start) start[name] = Number(start[name]);
  await near(place.closest("figure") ?? place);
  const room = room_of(place);
  const source = await fetch_falcon(model, room);
  if (source) KINDS[kind](room, source, { text, ...start });
}

/** Return the element that holds the picture: the place, or a new one if it is in a caption. */
function room_of(place) {
  const figure = place.closest("figure");
  if (!figure) return place;
  const room = make("div");
  figure.replaceWith(room);
  room.append(figure);
  return room;
}

for (const place of document.querySelectorAll(".falcon-place")) fill(place);
