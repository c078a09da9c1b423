/* Which targets hold which block: open addressing on the sequence hash with the holder bitset inline, so that one probe is
 * one cache line. Cut into small segments under a directory (extendible hashing): growth splits one segment at a time.
 * Holders beyond a segment's width widen that segment only. A slot is the name's low and high word and the bitset; a low
 * word of 0 is an empty slot, so names that have one are taken as 1. */
#define SLOTS BLOCK_WORDS
#define SLOT_MASK (SLOTS - 1)
#define SPLIT_AT (SLOTS * 3 / 4)
#define FULL_AT (SLOTS - 64)
#define MAX_DEPTH 20

struct table {
  u32 entries;
  u32 shift;
  /* `1 << bits` entries by the upper bits of a name: first block of the segment << 8 | words per slot. */
  u32 directory[1 << MAX_DEPTH];
};
static struct table device_table, host_table, disk_table;
/* By block, of whichever table owns it. */
static u8 local_depths[MOST_BLOCKS];
static u16 used_slots[MOST_BLOCKS];
static u32 scratch[SLOTS * (2 + MAX_TARGETS / 32)];

static inline u64 slot_name(u64 name) { return (u32)name == 0 ? name | 1 : name; }
static inline u32 entry_of(const struct table *table, u64 name) {
  return table->directory[(u32)(name >> 32) >> table->shift];
}

static int open_table(struct table *table) {
  table->shift = 31;
  for (u32 i = 0; i < 2; i++) {
    u32 block = take_segment(3);
    if (!block) return 0;
    local_depths[block - 1] = 1;
    table->directory[i] = ((block - 1) << 8) | 3;
  }
  return 1;
}

/* The slot of a name in the segment of `entry`, or the empty one where it would be. */
static inline u32 *probe(u32 entry, u64 name) {
  u32 stride = entry & 0xff;
  u32 *base = word(arena + ((entry >> 8) << BLOCK_BITS));
  u32 i = (u32)name & SLOT_MASK;
  u32 *slot = base + i * stride;
  while (pair(slot) != name && *slot != 0) {
    if (++i == SLOTS) {
      i = 0;
      slot = base;
    } else
      slot += stride;
  }
  return slot;
}

/* The slot of a name, or 0; `*stride` is its width. */
static inline u32 *find_slot(const struct table *table, u64 name, u32 *stride) {
  u32 entry = entry_of(table, name);
  *stride = entry & 0xff;
  u32 *slot = probe(entry, name);
  return *slot == 0 ? 0 : slot;
}

static inline int table_has(const struct table *table, u64 name, u32 bit) {
  u32 stride;
  u32 *slot = find_slot(table, name, &stride);
  u32 at = (bit >> 5) + 2;
  return slot && at < stride && (slot[at] >> (bit & 31)) & 1;
}

/* Touches where a name is or would be, and half a cache line on: slots straddle lines, and probes go on to the next one. */
static inline u32 warm_slot(const struct table *table, u64 name) {
  u32 entry = entry_of(table, name);
  const u32 *slot = word(arena + ((entry >> 8) << BLOCK_BITS) + ((u32)name & SLOT_MASK) * (entry & 0xff));
  return slot[0] ^ slot[8];
}

/* Directory entries of one segment are neighbours: those that share its `depth` upper bits. */
static void redirect(struct table *table, u64 name, u32 depth, u32 entry) {
  u32 bits = 32 - table->shift;
  u32 count = 1u << (bits - depth);
  u32 from = ((u32)(name >> 32) >> (32 - depth)) << (bits - depth);
  for (u32 i = 0; i < count; i++) table->directory[from + i] = entry;
}

static int split(struct table *table, u64 name, u32 block, u32 stride) {
  u32 depth = local_depths[block];
  if (depth >= MAX_DEPTH) return 0;
  u32 sibling = take_segment(stride);
  if (!sibling--) return 0;
  if (table->shift == 32 - depth) {
    for (u32 i = 1u << depth; i-- > 0;) table->directory[2 * i] = table->directory[2 * i + 1] = table->directory[i];
    table->shift--;
  }
  u32 *base = word(arena + (block << BLOCK_BITS));
  u32 *over = word(arena + (sibling << BLOCK_BITS));
  u32 length = SLOTS * stride;
  __builtin_memcpy(scratch, base, length * 4);
  __builtin_memset(base, 0, length * 4);
  u32 moved = 0;
  for (u32 *from = scratch; from < scratch + length; from += stride) {
    if (*from == 0) continue;
    u32 goes_over = (from[1] >> (31 - depth)) & 1;
    moved += goes_over;
    u32 *to = goes_over ? over : base;
    u32 i = *from & SLOT_MASK;
    while (to[i * stride] != 0) i = (i + 1) & SLOT_MASK;
    for (u32 k = 0; k < stride; k++) to[i * stride + k] = from[k];
  }
  local_depths[block] = local_depths[sibling] = depth + 1;
  used_slots[sibling] = moved;
  used_slots[block] -= moved;
  u64 upper = 1ull << (63 - depth);
  redirect(table, name | upper, depth + 1, (sibling << 8) | stride);
  return 1;
}

static int widen(struct table *table, u64 name, u32 block, u32 stride, u32 wider) {
  u32 to = take_segment(wider);
  if (!to--) return 0;
  u32 *from = word(arena + (block << BLOCK_BITS));
  u32 *into = word(arena + (to << BLOCK_BITS));
  for (u32 i = 0; i < SLOTS; i++)
    for (u32 k = 0; k < stride; k++) into[i * wider + k] = from[i * stride + k];
  local_depths[to] = local_depths[block];
  used_slots[to] = used_slots[block];
  used_slots[block] = 0;
  redirect(table, name, local_depths[to], (to << 8) | wider);
  free_segment(block, stride);
  return 1;
}

/* Sets a holder. 0 if there is no room: the block stays unknown. */
static int table_add(struct table *table, u64 name, u32 bit) {
  u32 at = (bit >> 5) + 2;
  for (;;) {
    u32 entry = entry_of(table, name);
    u32 stride = entry & 0xff;
    u32 block = entry >> 8;
    if (at >= stride) {
      if (!widen(table, name, block, stride, at + 1)) return 0;
      continue;
    }
    u32 *slot = probe(entry, name);
    if (*slot == 0) {
      u32 used = used_slots[block];
      if (used >= SPLIT_AT) {
        if (split(table, name, block, stride)) continue;
        if (used >= FULL_AT) return 0;
      }
      slot[0] = (u32)name;
      slot[1] = (u32)(name >> 32);
      used_slots[block] = used + 1;
      table->entries++;
    }
    slot[at] |= 1u << (bit & 31);
    return 1;
  }
}

/* Clears a holder; the entry goes with its last one, and those behind it close up. */
static inline __attribute__((always_inline)) void remove_in(struct table *table, u32 entry, const u32 stride, u64 name,
                                                            u32 bit) {
  u32 *base = word(arena + ((entry >> 8) << BLOCK_BITS));
  u32 hole = (u32)name & SLOT_MASK;
  u32 *slot = base + hole * stride;
  while (pair(slot) != name && *slot != 0) {
    hole = (hole + 1) & SLOT_MASK;
    slot = base + hole * stride;
  }
  u32 at = (bit >> 5) + 2;
  if (*slot == 0 || at >= stride) return;
  slot[at] &= ~(1u << (bit & 31));
  for (u32 k = 2; k < stride; k++)
    if (slot[k]) return;
  u32 i = hole;
  for (;;) {
    i = (i + 1) & SLOT_MASK;
    u32 *from = base + i * stride;
    if (*from == 0) break;
    if (((i - *from) & SLOT_MASK) < ((i - hole) & SLOT_MASK)) continue;
    for (u32 k = 0; k < stride; k++) slot[k] = from[k];
    slot = from;
    hole = i;
  }
  for (u32 k = 0; k < stride; k++) slot[k] = 0;
  used_slots[entry >> 8]--;
  table->entries--;
}

static void table_remove(struct table *table, u64 name, u32 bit) {
  u32 entry = entry_of(table, name);
  u32 stride = entry & 0xff;
  /* Up to 32 targets, and so mostly: a width that the compiler knows makes moves of the loops over it. */
  if (stride == 3) remove_in(table, entry, 3, name, bit);
  else remove_in(table, entry, stride, name, bit);
}
