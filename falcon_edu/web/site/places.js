// Places of the site where a Falcon takes that of a picture, once one comes near.

import { mount } from "../explorer/explorer.js";
import { make } from "../explorer/parts.js";
import { fetch_falcon, near } from "./fetching.js";

/** Show a Falcon in a place, whose data say which, and of what; its picture stays till then. */
export async function fill(place) {
  const { model, layer, head, text } = place.dataset;
  await near(place.closest("figure") ?? place);
  const room = room_of(place);
  const source = await fetch_falcon(model, room);
  if (source) mount(room, source, { text, layer: Number(layer), head: Number(head) });
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
