/* One node per (target, engine key): what the events of a target name. Kept beside the table because an engine's key says
 * nothing about ours, and because exactness under holes needs, per target, which blocks have resident children. Nodes are
 * chained from a linear-hashing directory: growth adds one bucket, nothing moves. */
struct node {
  u64 key;
  u64 name;
  /* Node of the parent block on the same target; of a hole, its record in the list of holes. */
  u32 parent;
  /* Resident children, shifted left by 4; the tier mask; HOLE. */
  u32 state;
  /* Depth of the block, shifted left by 12, and the target's bit; all ones in a cell that is no live node. */
  u32 place;
  u32 next;
};
#define NODE_WORDS 8u
#define GROW_NODES 1024u
#define HOLE 8u
#define TIERS 7u
#define CHILD 16u
#define UNKNOWN_DEPTH 0xfffffu
#define NO_NODE 0xffffffffu

static u32 heads, most_buckets, buckets, low_mask, free_list, used_from, node_count;

static inline struct node *node_at(u32 at) { return (struct node *)word(at); }
static inline u32 bit_of(const struct node *node) { return node->place & 0xfff; }
static inline u32 depth_of(const struct node *node) { return node->place >> 12; }

static inline u32 hash_of(u32 bit, u64 key) {
  u64 hash = (key ^ ((u64)(bit + 1) * 0x9E3779B185EBCA87ull)) * 0xC2B2AE3D27D4EB4Full;
  return (u32)(hash >> 32);
}

static inline u32 *head_of(u32 hash) {
  u32 bucket = hash & (2 * low_mask + 1);
  return word(heads + (bucket < buckets ? bucket : hash & low_mask));
}

/* The link that names the node with this key, or the one at the end of its chain. */
static inline u32 *link_of(u32 bit, u64 key) {
  u32 *link = head_of(hash_of(bit, key));
  while (*link) {
    struct node *node = node_at(*link);
    if (node->key == key && bit_of(node) == bit) break;
    link = &node->next;
  }
  return link;
}

static inline u32 find_node(u32 bit, u64 key) { return *link_of(bit, key); }

static inline int has_free_node(void) { return free_list || used_from > nodes_from; }

/* A cell of a node's size; 0 if there is no room. */
static u32 take_cell(void) {
  u32 at = free_list;
  if (at) {
    free_list = node_at(at)->next;
    return at;
  }
  if (used_from == nodes_from && !take_nodes(GROW_NODES * NODE_WORDS)) return 0;
  return used_from -= NODE_WORDS;
}

static void free_cell(u32 at) {
  struct node *node = node_at(at);
  node->place = NO_NODE;
  node->next = free_list;
  free_list = at;
}

static void split_bucket(void) {
  u32 added = buckets;
  if (added >= most_buckets) return;
  if ((added & 1023) == 0 && !take_elsewhere(1024)) return;
  u32 high = 2 * low_mask + 1;
  u32 *from = word(heads + (added & low_mask));
  u32 at = *from, stays = 0, goes = 0;
  while (at) {
    struct node *node = node_at(at);
    u32 next = node->next;
    if ((hash_of(bit_of(node), node->key) & high) == added) {
      node->next = goes;
      goes = at;
    } else {
      node->next = stays;
      stays = at;
    }
    at = next;
  }
  *from = stays;
  *word(heads + added) = goes;
  if (++buckets == 2 * (low_mask + 1)) low_mask = high;
}

/* Adds a node without parent, children or tiers; 0 if there is no room. */
static u32 add_node(u32 bit, u64 key, u64 name, u32 depth) {
  u32 at = take_cell();
  if (!at) return 0;
  struct node *node = node_at(at);
  node->key = key;
  node->name = name;
  node->parent = 0;
  node->state = 0;
  node->place = (depth << 12) | bit;
  u32 *head = head_of(hash_of(bit, key));
  node->next = *head;
  *head = at;
  /* Two buckets a node: most chains are one node, so most finds are one miss. */
  if (2 * ++node_count > buckets) {
    split_bucket();
    split_bucket();
  }
  return at;
}

/* Frees the node that a link names. */
static inline void free_linked(u32 *link) {
  u32 at = *link;
  *link = node_at(at)->next;
  free_cell(at);
  node_count--;
}

/* The link that names this very node: an engine may reuse a key, and the newer node then hides the older. */
static u32 *link_to(u32 at) {
  const struct node *node = node_at(at);
  u32 *link = head_of(hash_of(bit_of(node), node->key));
  while (*link != at) link = &node_at(*link)->next;
  return link;
}

static void free_node(u32 at) { free_linked(link_to(at)); }
