/* Where everything lies: fixed arrays, then heads of node buckets, then one arena that table segments fill from its start
 * and nodes from its end. References are word offsets into linear memory; 0 is none. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(#name)))
#define PAGE_BYTES 65536u

/* Most targets, and most blocks of one call. */
#define MAX_TARGETS 4096u
#define MAX_NAMES 131072u
/* Words of one arena block: segments are whole blocks. */
#define BLOCK_WORDS 2048u
#define BLOCK_BITS 11
#define MOST_BLOCKS (1u << 19)

static inline u32 *word(u32 at) { return (u32 *)(unsigned long)(at << 2); }
static inline u64 pair(const u32 *at) {
  u64 value;
  __builtin_memcpy(&value, at, 8);
  return value;
}

/* What the host writes before a call: names, engine keys, and the parent's name and key. */
static u64 names[MAX_NAMES];
static u64 keys[MAX_NAMES];
static u64 parents[2];
EXPORT(names) u64 *names_at(void) { return names; }
EXPORT(keys) u64 *keys_at(void) { return keys; }
EXPORT(parents) u64 *parents_at(void) { return parents; }

static u32 arena, arena_end, next_block, nodes_from, elsewhere_words;
static u32 free_segments[2 + MAX_TARGETS / 32 + 1];
/* Keeps warming loads alive. */
static volatile u32 noise;

static inline int has_room(u32 words) {
  return (u64)arena + (u64)next_block * BLOCK_WORDS + words + elsewhere_words <= nodes_from;
}

/* A zeroed segment of `blocks` blocks, by the number of its first plus one; 0 if the bound forbids it. */
static u32 take_segment(u32 blocks) {
  u32 block = free_segments[blocks];
  if (block) {
    u32 *first = word(arena + ((block - 1) << BLOCK_BITS));
    free_segments[blocks] = *first;
    *first = 0;
    return block;
  }
  if (!has_room(blocks * BLOCK_WORDS)) return 0;
  block = next_block;
  next_block += blocks;
  return block + 1;
}

static void free_segment(u32 block, u32 blocks) {
  u32 *first = word(arena + (block << BLOCK_BITS));
  __builtin_memset(first, 0, blocks * BLOCK_WORDS * 4);
  *first = free_segments[blocks];
  free_segments[blocks] = block + 1;
}

/* `words` more at the node end, leaving a share free for segments. */
static int take_nodes(u32 words) {
  if (!has_room(words + ((arena_end - arena) >> 5))) return 0;
  nodes_from -= words;
  return 1;
}

static int take_elsewhere(u32 words) {
  if (!has_room(words)) return 0;
  elsewhere_words += words;
  return 1;
}
