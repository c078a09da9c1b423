/* Targets and their bits. A target that is cleared gets another bit at once; its old one is swept along with later events. */
static u32 live[MAX_TARGETS / 32];
static i32 bit_of_target[MAX_TARGETS];
static u8 is_taken[MAX_TARGETS];
static u8 is_retired[MAX_TARGETS];
static u8 is_swept_now[MAX_TARGETS];
static i32 blocks_of[MAX_TARGETS];
static u64 digest_of[MAX_TARGETS];
static u32 free_targets[MAX_TARGETS];
static u32 free_target_count, target_count, taken_count;
/* Words of bitset that targets take. */
static u32 width = 1;
static u32 retired_count, sweeping_count;

/* The bit of a new target plus one; 0 if all are taken. */
static u32 take_bit(void) {
  for (u32 bit = 0; bit < MAX_TARGETS; bit++) {
    if (is_taken[bit]) continue;
    is_taken[bit] = 1;
    taken_count++;
    live[bit >> 5] |= 1u << (bit & 31);
    if ((bit >> 5) + 1 > width) width = (bit >> 5) + 1;
    blocks_of[bit] = 0;
    digest_of[bit] = 0;
    return bit + 1;
  }
  return 0;
}

static void free_bit(u32 bit) {
  is_taken[bit] = is_retired[bit] = is_swept_now[bit] = 0;
  taken_count--;
}

static void retire_bit(u32 bit) {
  live[bit >> 5] &= ~(1u << (bit & 31));
  if (blocks_of[bit] == 0 && holes_of[bit] == 0) {
    free_bit(bit);
    return;
  }
  forget_holes(bit);
  is_retired[bit] = 1;
  retired_count++;
}

/* A new target number, or -1 beyond the most there can be. Small numbers are reused. */
EXPORT(addTarget) i32 add_target(void) {
  u32 bit = take_bit();
  if (!bit) return -1;
  u32 target = free_target_count ? free_targets[--free_target_count] : target_count++;
  bit_of_target[target] = (i32)bit - 1;
  return (i32)target;
}

EXPORT(removeTarget) void remove_target(u32 target) {
  retire_bit((u32)bit_of_target[target]);
  bit_of_target[target] = -1;
  free_targets[free_target_count++] = target;
}

/* 0 if no bit was left for it. */
EXPORT(clear) i32 clear_target(u32 target) {
  u32 bit = take_bit();
  if (!bit) return 0;
  retire_bit((u32)bit_of_target[target]);
  bit_of_target[target] = (i32)bit - 1;
  return 1;
}

EXPORT(bitOf) i32 bit_of_number(u32 target) { return bit_of_target[target]; }
EXPORT(blocksOf) i32 blocks_of_number(u32 target) { return blocks_of[bit_of_target[target]]; }
EXPORT(digestOf) u64 digest_of_number(u32 target) { return digest_of[bit_of_target[target]]; }
EXPORT(targets) u32 targets_given(void) { return target_count; }
