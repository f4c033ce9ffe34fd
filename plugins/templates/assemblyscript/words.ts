// The words of a check's parameters, read from JSON: AssemblyScript's library has no parser.

export class Word {
  constructor(public at: usize, public length: u32) {}
}

let at: usize = 0;
let end: usize = 0;

function peek(): u8 {
  return at < end ? load<u8>(at) : 0;
}

function skipSpace(): void {
  while (peek() == 32 || peek() == 10 || peek() == 13 || peek() == 9) at++;
}

// Reads the string that begins here, with escapes resolved.
function readString(): string {
  const from = at++;
  while (at < end && load<u8>(at) != 34) at += load<u8>(at) == 92 ? 2 : 1;
  at++;
  const raw = String.UTF8.decodeUnsafe(from + 1, at - from - 2);
  let text = "";
  for (let i = 0; i < raw.length; i++) {
    if (raw.charCodeAt(i) != 92) {
      text += raw.charAt(i);
      continue;
    }
    const letter = raw.charAt(++i);
    const known = "bfnrt".indexOf(letter);
    if (letter == "u") {
      text += String.fromCharCode(i32(parseInt(raw.substr(i + 1, 4), 16)));
      i += 4;
    } else text += known >= 0 ? "\b\f\n\r\t".charAt(known) : letter;
  }
  return text;
}

function skipValue(): void {
  for (let depth = 0; at < end; at++) {
    const letter = peek();
    if (depth == 0 && (letter == 44 || letter == 125 || letter == 93)) return;
    if (letter == 34) {
      readString();
      at--;
    } else if (letter == 123 || letter == 91) depth++;
    else if (letter == 125 || letter == 93) depth--;
  }
}

function word(text: string): Word {
  const bytes = String.UTF8.encode(text);
  return new Word(changetype<usize>(bytes), bytes.byteLength);
}

// Returns the words, or null if they are no list of texts, or one of them is empty.
export function readWords(json: usize, length: u32): Array<Word> | null {
  at = json;
  end = json + length;
  skipSpace();
  for (at++; at < end; at++) {
    skipSpace();
    if (peek() != 34) break;
    const key = readString();
    skipSpace();
    at++;
    skipSpace();
    if (key == "words") return readList();
    skipValue();
  }
  return [word("swordfish")];
}

function readList(): Array<Word> | null {
  const words = new Array<Word>();
  if (peek() != 91) return null;
  do {
    at++;
    skipSpace();
    if (peek() != 34) return null;
    const text = readString();
    if (text.length == 0) return null;
    words.push(word(text));
    skipSpace();
  } while (peek() == 44);
  return peek() == 93 ? words : null;
}
