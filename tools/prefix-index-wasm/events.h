/* Stores and removals. Each chunk is first touched in loops whose cache misses overlap; alone, each would be waited for. */
#define CHUNK 64u

static u32 evicted, refused, hand;
static u32 sweep_at;
static u32 found[CHUNK];

static inline u32 next_depth(u32 depth) { return depth >= UNKNOWN_DEPTH - 1 ? UNKNOWN_DEPTH : depth + 1; }

/* Writes a node's tier mask and keeps the three tables in step with it. The caller keeps the links. */
static inline void set_tiers(struct node *node, u32 tiers) {
  u32 before = node->state & TIERS;
  node->state = (node->state & ~TIERS) | tiers;
  u64 name = slot_name(node->name);
  u32 bit = bit_of(node);
  if (tiers == 0) table_remove(&device_table, name, bit);
  u32 was = before & -before;
  u32 is = tiers & -tiers;
  if (was == is || ((was | is) & 6) == 0) return;
  if (was == 2) table_remove(&host_table, name, bit);
  else if (was == 4) table_remove(&disk_table, name, bit);
  if (is == 2) table_add(&host_table, name, bit);
  else if (is == 4) table_add(&disk_table, name, bit);
}

static void drop_if_empty(u32 bit, u32 at) {
  struct node *node = node_at(at);
  if ((node->state & ~HOLE) != 0) return;
  if (node->state & HOLE) remove_hole(bit, at);
  free_node(at);
}

/* The last tier lost a block: unlink it, or keep it as a hole while it has resident children. */
static inline void depart(u32 bit, u32 *link) {
  u32 at = *link;
  struct node *node = node_at(at);
  u32 parent = node->parent;
  blocks_of[bit]--;
  digest_of[bit] ^= node->name;
  if (node->state < CHILD) free_linked(link);
  else add_hole(bit, at);
  if (!parent) return;
  node_at(parent)->state -= CHILD;
  drop_if_empty(bit, parent);
}

/* A block is resident again or for the first time. */
static inline void arrive(u32 bit, u32 at, u32 parent, u32 depth) {
  struct node *node = node_at(at);
  if (node->state & HOLE) remove_hole(bit, at);
  node->parent = parent;
  node->place = (depth << 12) | bit;
  if (parent) node_at(parent)->state += CHILD;
  blocks_of[bit]++;
  digest_of[bit] ^= node->name;
}

/* Gives up one leaf, round the clock, of a target that holds at least half the mean. */
static void evict(u32 keep) {
  u32 targets = target_count - free_target_count;
  u32 fair = node_count / (targets ? targets : 1) / 2;
  for (u32 steps = 0; steps < 4096; steps++) {
    hand = hand < used_from + NODE_WORDS ? arena_end - NODE_WORDS : hand - NODE_WORDS;
    struct node *node = node_at(hand);
    if (hand == keep || node->place == NO_NODE || node->state >= CHILD || (node->state & TIERS) == 0) continue;
    u32 bit = bit_of(node);
    if (is_retired[bit] || blocks_of[bit] < (i32)fair) continue;
    /* A hole that only this leaf keeps alive would go with it: not the one about to get a child. */
    if (keep && node->parent == keep && (node_at(keep)->state & ~HOLE) == CHILD) continue;
    set_tiers(node, 0);
    depart(bit, link_to(hand));
    evicted++;
    return;
  }
}

/* Does up to `nodes` steps of forgetting retired targets. */
EXPORT(sweep) void sweep(u32 nodes) {
  if (!sweeping_count) {
    if (!retired_count) return;
    for (u32 bit = 0; bit < width * 32; bit++) is_swept_now[bit] = is_retired[bit];
    sweeping_count = retired_count;
    retired_count = 0;
    sweep_at = arena_end;
  }
  u64 steps = 4ull * nodes + 64;
  while (steps-- && sweep_at > used_from) {
    sweep_at -= NODE_WORDS;
    struct node *node = node_at(sweep_at);
    if (node->place == NO_NODE || !is_retired[bit_of(node)]) continue;
    /* A bit retired during this round loses its nodes early; its own round then finds fewer. */
    set_tiers(node, 0);
    free_node(sweep_at);
  }
  if (sweep_at > used_from) return;
  for (u32 bit = 0; bit < width * 32; bit++)
    if (is_swept_now[bit]) free_bit(bit);
  sweeping_count = 0;
}

/* The node of the parent that the host named, made if unknown: a hole at an unknown depth. 0 if there is no room. */
static u32 parent_node(u32 bit) {
  u32 at = find_node(bit, parents[1]);
  if (at) return at;
  at = add_node(bit, parents[1], parents[0], UNKNOWN_DEPTH);
  if (at) add_hole(bit, at);
  return at;
}

/* Touches the second node of each chain, of whose first ones `found` names the successors; most have none. */
static inline u32 warm_successors(u32 count) {
  u32 sum = 0;
  for (u32 k = 0; k < count; k++) sum ^= node_at(found[k])->next;
  return sum;
}

/* Touches what a chunk of stores will read. */
static inline void warm_store(u32 bit, const u64 *key, const u64 *name, u32 count) {
  u32 sum = 0;
  for (u32 k = 0; k < count; k++) {
    found[k] = *head_of(hash_of(bit, key[k]));
    sum ^= warm_slot(&device_table, name[k]);
  }
  for (u32 k = 0; k < count; k++) found[k] = node_at(found[k])->next;
  noise = sum ^ warm_successors(count);
}

/* One block; the node that it has now, or 0 if there was no room. */
static inline u32 store_one(u32 bit, u64 key, u64 name, u32 parent, u32 depth, u32 tier) {
  u32 at = find_node(bit, key);
  if (!at || node_at(at)->name != name) {
    if (!has_free_node() && !has_room(GROW_NODES * NODE_WORDS + ((arena_end - arena) >> 5))) evict(parent);
    if (!(at = add_node(bit, key, name, depth))) return 0;
  }
  struct node *node = node_at(at);
  u32 before = node->state & TIERS;
  if (!before) {
    if (!table_add(&device_table, slot_name(name), bit)) {
      if (node->state == 0) free_node(at);
      return 0;
    }
    arrive(bit, at, parent, depth);
  }
  if (!(before & tier)) set_tiers(node, before | tier);
  return at;
}

/* Takes in `count` names, in order, with their keys, in a tier. Returns how many there was room for. */
EXPORT(store) u32 store(u32 target, u32 count, u32 has_keys, u32 has_parent, u32 tier) {
  sweep(count);
  u32 bit = (u32)bit_of_target[target];
  const u64 *key = has_keys ? keys : names;
  u32 parent = 0, depth = 0;
  if (has_parent) {
    if (!(parent = parent_node(bit))) {
      refused += count;
      return 0;
    }
    depth = next_depth(depth_of(node_at(parent)));
  }
  for (u32 i = 0; i < count; i++) {
    if (i % CHUNK == 0 && count > 8) warm_store(bit, key + i, names + i, count - i < CHUNK ? count - i : CHUNK);
    u32 at = store_one(bit, key[i], names[i], parent, depth, tier);
    if (!at) {
      refused += count - i;
      if (parent) drop_if_empty(bit, parent);
      return i;
    }
    parent = at;
    depth = next_depth(depth_of(node_at(at)));
  }
  return count;
}

static inline void warm_remove(u32 bit, const u64 *key, u32 count) {
  u32 sum = 0;
  for (u32 k = 0; k < count; k++) found[k] = *head_of(hash_of(bit, key[k]));
  for (u32 k = 0; k < count; k++) {
    const struct node *node = node_at(found[k]);
    sum ^= warm_slot(&device_table, node->name);
    found[k] = node->next;
  }
  noise = sum ^ warm_successors(count);
}

/* `count` blocks, by key, left a tier of a target; unknown ones are ignored. */
EXPORT(remove) void remove_blocks(u32 target, u32 count, u32 tier) {
  sweep(count);
  u32 bit = (u32)bit_of_target[target];
  for (u32 i = 0; i < count; i++) {
    if (i % CHUNK == 0 && count > 8) warm_remove(bit, keys + i, count - i < CHUNK ? count - i : CHUNK);
    u32 *link = link_of(bit, keys[i]);
    if (!*link) continue;
    struct node *node = node_at(*link);
    u32 before = node->state & TIERS;
    if (!(before & tier)) continue;
    set_tiers(node, before & ~tier);
    if (before == tier) depart(bit, link);
  }
}
