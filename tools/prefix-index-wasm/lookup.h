/* How deep each target holds a chain of names: galloping and bisecting over the set of targets that hold all so far. Rolling
 * names prove a prefix only without holes; a path that meets one is bisected again below it, where holdings are closed. */
static u32 active[MAX_TARGETS / 32];
static i32 bit_depth[MAX_TARGETS], bit_host[MAX_TARGETS], bit_disk[MAX_TARGETS];
static i32 depths[MAX_TARGETS], host_blocks[MAX_TARGETS], disk_blocks[MAX_TARGETS];
static u32 probes;
EXPORT(depths) i32 *depths_at(void) { return depths; }
EXPORT(hostBlocks) i32 *host_blocks_at(void) { return host_blocks; }
EXPORT(diskBlocks) i32 *disk_blocks_at(void) { return disk_blocks; }
EXPORT(probes) u32 probes_of_last(void) { return probes; }

static inline void settle(u32 k, u32 bits, i32 depth) {
  for (; bits; bits &= bits - 1) bit_depth[(k << 5) + (u32)__builtin_ctz(bits)] = depth;
}

static inline int holds_all(u64 name) {
  probes++;
  u32 stride;
  const u32 *slot = find_slot(&device_table, slot_name(name), &stride);
  if (!slot) return 0;
  for (u32 k = 0; k < width; k++)
    if (active[k] && (k + 2 >= stride || (slot[k + 2] & active[k]) != active[k])) return 0;
  return 1;
}

/* Drops those that do not hold block `at` from the active ones: that is their depth. Whether any is left. */
static inline u32 narrow(u64 name, i32 at) {
  probes++;
  u32 stride, any = 0;
  const u32 *slot = find_slot(&device_table, slot_name(name), &stride);
  for (u32 k = 0; k < width; k++) {
    u32 held = slot && k + 2 < stride ? slot[k + 2] & active[k] : 0;
    settle(k, active[k] & ~held, at);
    any |= active[k] = held;
  }
  return any;
}

/* Returns the deepest. */
static i32 gallop(i32 count) {
  for (u32 k = 0; k < width; k++) active[k] = live[k];
  if (count == 0 || !narrow(names[0], 0)) return 0;
  i32 depth = 0, step = 1;
  while (depth < count - 1) {
    i32 probe = depth + step < count - 1 ? depth + step : count - 1;
    if (holds_all(names[probe])) {
      depth = probe;
      step *= 2;
      continue;
    }
    i32 low = depth;
    while (probe - low > 1) {
      i32 middle = (low + probe) >> 1;
      if (holds_all(names[middle])) low = middle;
      else probe = middle;
    }
    if (!narrow(names[probe], probe)) return probe;
    depth = probe;
    step = 1;
  }
  for (u32 k = 0; k < width; k++) settle(k, active[k], count);
  return count;
}

static i32 walk(u32 bit, i32 limit) {
  for (i32 i = 0; i < limit; i++) {
    probes++;
    if (!table_has(&device_table, slot_name(names[i]), bit)) return i;
  }
  return limit;
}

static i32 bisect(u32 bit, i32 limit) {
  i32 low = 0, high = limit;
  while (low < high) {
    i32 middle = (low + high) >> 1;
    probes++;
    if (table_has(&device_table, slot_name(names[middle]), bit)) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void cut_at_holes(void) {
  for (u32 bit = 0; bit < width * 32; bit++) {
    i32 claimed = bit_depth[bit];
    if (holes_of[bit] == 0 || claimed == 0) continue;
    if (unplaced_of[bit] || holes_of[bit] > 64) {
      bit_depth[bit] = walk(bit, claimed);
      continue;
    }
    i32 first = claimed;
    for (u32 record = first_hole[bit]; record; record = hole_at(record)->after) {
      const struct node *node = node_at(hole_at(record)->node);
      i32 depth = (i32)depth_of(node);
      if (depth < first && node->name == names[depth]) first = depth;
    }
    if (first < claimed) bit_depth[bit] = bisect(bit, first);
  }
}

static void count_tier(const struct table *table, i32 *counts, i32 deepest) {
  for (u32 bit = 0; bit < width * 32; bit++) counts[bit] = 0;
  if (!table->entries) return;
  for (i32 i = 0; i < deepest; i++) {
    u32 stride;
    const u32 *slot = find_slot(table, slot_name(names[i]), &stride);
    if (!slot) continue;
    for (u32 k = 0; k < width && k + 2 < stride; k++)
      for (u32 rest = slot[k + 2] & live[k]; rest; rest &= rest - 1) {
        u32 bit = (k << 5) + (u32)__builtin_ctz(rest);
        if (i < bit_depth[bit]) counts[bit]++;
      }
  }
}

/* Looks up the first `count` names; results by target. */
EXPORT(lookup) void lookup(i32 count) {
  probes = 0;
  for (u32 bit = 0; bit < width * 32; bit++) bit_depth[bit] = 0;
  i32 deepest = gallop(count);
  if (hole_count && deepest) cut_at_holes();
  int has_tiers = deepest && host_table.entries + disk_table.entries;
  if (has_tiers) {
    count_tier(&host_table, bit_host, deepest);
    count_tier(&disk_table, bit_disk, deepest);
  }
  for (u32 target = 0; target < target_count; target++) {
    i32 bit = bit_of_target[target];
    depths[target] = bit < 0 ? 0 : bit_depth[bit];
    host_blocks[target] = bit < 0 || !has_tiers ? 0 : bit_host[bit];
    disk_blocks[target] = bit < 0 || !has_tiers ? 0 : bit_disk[bit];
  }
}
