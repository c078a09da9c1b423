/* Where targets have lost a block but kept what follows it. Few at any time: evictions take chains from one end. A list
 * per target; its records are cells of a node's size, named by the hole in the parent word that it has no other use for. */
struct hole {
  u32 node;
  u32 before;
  u32 after;
};
static u32 first_hole[MAX_TARGETS];
static u32 holes_of[MAX_TARGETS];
/* Of these, at an unknown depth, or that no record could be taken for. */
static u32 unplaced_of[MAX_TARGETS];
static u32 hole_count;

static inline struct hole *hole_at(u32 at) { return (struct hole *)word(at); }

static void add_hole(u32 bit, u32 at) {
  struct node *node = node_at(at);
  u32 record = take_cell();
  node->state |= HOLE;
  node->parent = record;
  holes_of[bit]++;
  hole_count++;
  if (!record || depth_of(node) == UNKNOWN_DEPTH) unplaced_of[bit]++;
  if (!record) return;
  node_at(record)->place = NO_NODE;
  struct hole *hole = hole_at(record);
  hole->node = at;
  hole->before = 0;
  hole->after = first_hole[bit];
  if (hole->after) hole_at(hole->after)->before = record;
  first_hole[bit] = record;
}

static void remove_hole(u32 bit, u32 at) {
  struct node *node = node_at(at);
  u32 record = node->parent;
  node->state &= ~HOLE;
  node->parent = 0;
  holes_of[bit]--;
  hole_count--;
  if (!record || depth_of(node) == UNKNOWN_DEPTH) unplaced_of[bit]--;
  if (!record) return;
  struct hole *hole = hole_at(record);
  if (hole->before) hole_at(hole->before)->after = hole->after;
  else first_hole[bit] = hole->after;
  if (hole->after) hole_at(hole->after)->before = hole->before;
  free_cell(record);
}

static void forget_holes(u32 bit) {
  for (u32 record = first_hole[bit]; record;) {
    struct hole *hole = hole_at(record);
    u32 after = hole->after;
    node_at(hole->node)->parent = 0;
    free_cell(record);
    record = after;
  }
  hole_count -= holes_of[bit];
  first_hole[bit] = holes_of[bit] = unplaced_of[bit] = 0;
}
