// The types of tidegate:plugin@0.1.0 in memory, as far as they are used: there is no generator for AssemblyScript yet.
// Sizes and offsets follow from the component ABI: a text or list is its address and length.

// The host puts arguments here. Nothing is freed by itself; `finished` gives everything back.
export function cabi_realloc(_old: usize, _size: usize, _align: usize, size: usize): usize {
  return heap.alloc(size);
}

// Called when the host has read an answer.
export function finished(_answer: usize): void {
  heap.reset();
}

// Memory full of zeros: empty texts, empty lists, no options, and the first case of variants.
export function zeros(size: usize): usize {
  const at = heap.alloc(size);
  memory.fill(at, 0, size);
  return at;
}

export function putText(at: usize, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<usize>(at, changetype<usize>(bytes));
  store<usize>(at, bytes.byteLength, 4);
}

export const SPAN: usize = 16;

// A list that grows: of items of a size.
export class Items {
  at: usize = heap.alloc(16);
  room: usize = 16;
  count: u32 = 0;

  constructor(public size: usize) {}

  add(): usize {
    const used = this.size * this.count;
    while (used + this.size > this.room) {
      const more = heap.alloc(this.room * 2);
      memory.copy(more, this.at, used);
      this.at = more;
      this.room *= 2;
    }
    this.count++;
    return this.at + used;
  }

  put(at: usize): void {
    store<usize>(at, this.at);
    store<u32>(at, this.count, 4);
  }
}

// A failed result; all results of these functions have room for it.
export function failed(name: string, message: string): usize {
  const at = zeros(48);
  store<u8>(at, 1);
  putText(at + 4, name);
  putText(at + 12, message);
  return at;
}

// Adds a check to the list of a manifest.
export function addCheck(checks: Items, name: string, mutates: bool, schema: string): void {
  const at = checks.add();
  memory.fill(at, 0, 36);
  putText(at, name);
  const hooks = zeros(2);
  store<u8>(hooks, 1, 1); // input and output
  store<usize>(at, hooks, 8);
  store<u32>(at, 2, 12);
  store<bool>(at, true, 16); // streams
  store<bool>(at, mutates, 17);
  putText(at + 20, schema);
}
