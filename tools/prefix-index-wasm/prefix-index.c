/* The prefix index of @stator/router (ADR 0010) for wasm32 without libc: the same structure as the TypeScript one beside it,
 * and held to the same tests. Build with `node tools/prefix-index-wasm/build.mjs`. */
#include "memory.h"
#include "table.h"
#include "nodes.h"
#include "holes.h"
#include "targets.h"
#include "events.h"
#include "lookup.h"

extern u8 __heap_base;

/* Reserves all memory for `max_bytes` of blocks; the system commits a page when it is first written. 0 if it cannot. */
EXPORT(open) i32 open(u32 max_bytes) {
  u32 blocks = max_bytes / 4 / BLOCK_WORDS;
  if (blocks > MOST_BLOCKS) return 0;
  u32 words = blocks * BLOCK_WORDS;
  most_buckets = max_bytes / 20 < 2048 ? 2048 : max_bytes / 20;
  heads = ((u32)(unsigned long)&__heap_base + 63) / 64 * 16;
  arena = (heads + most_buckets + 1023) / 1024 * 1024;
  arena_end = arena + words;
  u64 pages = ((u64)arena_end * 4 + PAGE_BYTES - 1) / PAGE_BYTES;
  u64 have = __builtin_wasm_memory_size(0);
  if (pages > 65536 || (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (unsigned long)-1)) return 0;
  nodes_from = used_from = hand = arena_end;
  buckets = 1024;
  low_mask = 1023;
  take_elsewhere(1024);
  return open_table(&device_table) && open_table(&host_table) && open_table(&disk_table);
}

/* Names of a target's block by its engine key in parents[1]; the word offset of its node, or 0. */
EXPORT(find) u32 find(u32 target) { return find_node((u32)bit_of_target[target], parents[1]); }

/* What is counted: entries, nodes, holes, bytes taken, evicted, refused, first node word, end of nodes. */
static u32 counts[8];
EXPORT(counts) u32 *count_up(void) {
  counts[0] = device_table.entries;
  counts[1] = node_count;
  counts[2] = hole_count;
  counts[3] = 4 * (next_block * BLOCK_WORDS + arena_end - nodes_from + elsewhere_words);
  counts[4] = evicted;
  counts[5] = refused;
  counts[6] = used_from;
  counts[7] = arena_end;
  return counts;
}
