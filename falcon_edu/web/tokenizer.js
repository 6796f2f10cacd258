// Text to token ids and back: byte-level BPE, as in falcon_edu/text/.

/** Return the printable character that stands for each byte, 0 to 255, in a vocabulary. */
export function byte_alphabet() {
  let other = 0x100;
  const prints = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const letter = (_, byte) => String.fromCodePoint(prints(byte) ? byte : other++);
  return Array.from({ length: 256 }, letter);
}

const ALPHABET = byte_alphabet();
const BYTES = new Map(ALPHABET.map((character, byte) => [character, byte]));
const to_bytes = (text) => new TextEncoder().encode(text);
const to_text = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const is_text = (bytes) => String(to_bytes(to_text(bytes))) === String(bytes);

/** Return the bytes that a token stands for; one with other characters stands for its own text. */
export function token_to_bytes(token) {
  const bytes = [...token].map((character) => BYTES.get(character));
  return bytes.includes(undefined) ? to_bytes(token) : Uint8Array.from(bytes);
}

/** Return the pattern of what is merged by itself: words with the space before, numbers, signs. */
function piece_pattern(letters, numbers) {
  // Ranges come with the preset, since every browser knows the Unicode of its own year.
  const escape = (point) => `\\u{${point.toString(16)}}`;
  const ranges = (points) => points.map((p, i) => (i % 2 ? "-" : "") + escape(p)).join("");
  const [l, n, s] = [ranges(letters), ranges(numbers), "\\p{White_Space}"];
  const words = `'s|'t|'re|'ve|'m|'ll|'d| ?[${l}]+| ?[${n}]+| ?[^${s}${l}${n}]+`;
  return new RegExp(`${words}|${s}+(?!\\P{White_Space})|${s}+`, "gu");
}

export class FalconTokenizer {
  /** Take what `describe_tokenizer` wrote: vocabulary, merges, start_token_id and so on. */
  constructor(header) {
    Object.assign(this, header);
    this.ids = new Map(header.vocabulary.map((token, id) => [token, id]));
    this.bytes = header.vocabulary.map((token) => token_to_bytes(token ?? ""));
    this.longest = Math.max(...this.bytes.map((bytes) => bytes.length));
    this.ranks = new Map(header.merges.map((merge, rank) => [merge, rank]));
    this.pieces = piece_pattern(header.letters, header.numbers);
    const whole = [...header.unsplittable_tokens].sort((a, b) => b.length - a.length);
    const escaped = whole.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    this.whole = new RegExp(`(${escaped.join("|") || "(?!)"})`, "u");
  }

  /** Return the ids of a text, (t,), without a start token. */
  tokenize(text) {
    if (!text.isWellFormed()) throw new Error("The text holds half a surrogate pair.");
    const read = (piece) => this.merge([...to_bytes(piece)].map((byte) => ALPHABET[byte]));
    return text.split(this.whole).flatMap((part, i) => {
      if (i % 2) return [this.ids.get(part)]; // every other part is one that is not split
      return (part.match(this.pieces) ?? []).flatMap(read).map((token) => {
        if (this.ids.has(token)) return this.ids.get(token);
        throw new Error(`The vocabulary has no token for the byte ${BYTES.get(token)}.`);
      });
    });
  }

  /** Merge the pair of neighbours that was learned first, until there is none. */
  merge(tokens) {
    for (;;) {
      let best = Infinity, at = 0;
      for (let i = 0; i + 1 < tokens.length; i++) {
        const rank = this.ranks.get(`${tokens[i]} ${tokens[i + 1]}`);
        if (rank < best) best = rank, at = i;
      }
      if (best === Infinity) return tokens;
      tokens.splice(at, 2, tokens[at] + tokens[at + 1]);
    }
  }

  /** Return the ids that a model reads: those of a text, after the start token. */
  encode(text) {
    return [...(this.add_start_token ? [this.start_token_id] : []), ...this.tokenize(text)];
  }

  /** Return the text of ids, without special tokens and rows that stand for no text. */
  detokenize(ids) {
    const kept = ids.filter((id) => !this.special_token_ids.includes(id));
    return to_text(Uint8Array.from(kept.flatMap((id) => [...(this.bytes[id] ?? [])])));
  }

  /** Label each token as a reader sees it: bytes of a part of a character as `\xf0`. */
  token_strings(ids) {
    return ids.map((id) => {
      const bytes = this.bytes[id] ?? new Uint8Array();
      let label = "";
      for (let i = 0, end; i < bytes.length; i = end) {
        end = [1, 2, 3, 4].map((length) => i + length).find((e) => is_text(bytes.slice(i, e)));
        label += end ? to_text(bytes.slice(i, end)) : `\\x${bytes[i].toString(16)}`;
        end ??= i + 1;
      }
      return label;
    });
  }
}
