/* XXH3-64 with a seed, and the rolling chain of block names over it, for wasm32 without libc.
 * The algorithm is Yann Collet's (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md); this is an own
 * implementation of that specification. Build with `node tools/xxh3-wasm/build.mjs`. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(name)))

#define P32_1 0x9E3779B1U
#define P32_2 0x85EBCA77U
#define P32_3 0xC2B2AE3DU
#define P64_1 0x9E3779B185EBCA87ULL
#define P64_2 0xC2B2AE3D27D4EB4FULL
#define P64_3 0x165667B19E3779F9ULL
#define P64_4 0x85EBCA77C2B2AE63ULL
#define P64_5 0x27D4EB2F165667C5ULL
#define MX1 0x165667919E3779F9ULL
#define MX2 0x9FB21C651E98DF25ULL

static const u8 SECRET[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4,
    0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e,
    0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43,
    0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
    0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
    0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7,
    0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78,
    0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16,
    0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
    0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

static u8 seeded[192];
static u64 seededFor;

/* One page-aligned exchange area: the host writes token ids (or bytes) at input(), reads names at output(). */
static u8 area_in[256 * 1024] __attribute__((aligned(16)));
static u64 area_out[2 * 16 * 1024] __attribute__((aligned(16)));
EXPORT("input") u8 *input(void) { return area_in; }
EXPORT("output") u64 *output(void) { return area_out; }

static inline u32 r32(const u8 *p) { u32 v; __builtin_memcpy(&v, p, 4); return v; }
static inline u64 r64(const u8 *p) { u64 v; __builtin_memcpy(&v, p, 8); return v; }
static inline u64 rotl(u64 x, int r) { return (x << r) | (x >> (64 - r)); }
static inline u64 swap64(u64 x) {
  x = ((x & 0x00ff00ff00ff00ffULL) << 8) | ((x >> 8) & 0x00ff00ff00ff00ffULL);
  x = ((x & 0x0000ffff0000ffffULL) << 16) | ((x >> 16) & 0x0000ffff0000ffffULL);
  return (x << 32) | (x >> 32);
}
static inline u32 swap32(u32 x) { return (x >> 24) | ((x >> 8) & 0xff00) | ((x << 8) & 0xff0000) | (x << 24); }
static inline u64 fold(u64 a, u64 b) {
  u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
  u64 ll = al * bl, hl = ah * bl, lh = al * bh, hh = ah * bh;
  u64 mid = (ll >> 32) + (u32)hl + lh;
  return ((mid << 32) | (u32)ll) ^ (hh + (hl >> 32) + (mid >> 32));
}
static inline u64 avalanche64(u64 h) { h ^= h >> 33; h *= P64_2; h ^= h >> 29; h *= P64_3; return h ^ (h >> 32); }
static inline u64 avalanche3(u64 h) { h ^= h >> 37; h *= MX1; return h ^ (h >> 32); }
static inline u64 mix16(const u8 *p, const u8 *s, u64 seed) {
  return fold(r64(p) ^ (r64(s) + seed), r64(p + 8) ^ (r64(s + 8) - seed));
}

static inline u64 len9to16(const u8 *p, u32 len, u64 seed) {
  u64 lo = r64(p) ^ ((r64(SECRET + 24) ^ r64(SECRET + 32)) + seed);
  u64 hi = r64(p + len - 8) ^ ((r64(SECRET + 40) ^ r64(SECRET + 48)) - seed);
  return avalanche3(len + swap64(lo) + hi + fold(lo, hi));
}

static u64 upTo16(const u8 *p, u32 len, u64 seed) {
  if (len > 8) return len9to16(p, len, seed);
  if (len >= 4) {
    seed ^= (u64)swap32((u32)seed) << 32;
    u64 h = (r32(p + len - 4) + ((u64)r32(p) << 32)) ^ ((r64(SECRET + 8) ^ r64(SECRET + 16)) - seed);
    h ^= rotl(h, 49) ^ rotl(h, 24);
    h *= MX2;
    h ^= (h >> 35) + len;
    h *= MX2;
    return h ^ (h >> 28);
  }
  if (len) {
    u32 c = ((u32)p[0] << 16) | ((u32)p[len >> 1] << 24) | p[len - 1] | (len << 8);
    return avalanche64(c ^ ((u64)(r32(SECRET) ^ r32(SECRET + 4)) + seed));
  }
  return avalanche64(seed ^ (r64(SECRET + 56) ^ r64(SECRET + 64)));
}

static inline u64 upTo128(const u8 *p, u32 len, u64 seed) {
  u64 acc = len * P64_1;
  if (len > 32) {
    if (len > 64) {
      if (len > 96) acc += mix16(p + 48, SECRET + 96, seed) + mix16(p + len - 64, SECRET + 112, seed);
      acc += mix16(p + 32, SECRET + 64, seed) + mix16(p + len - 48, SECRET + 80, seed);
    }
    acc += mix16(p + 16, SECRET + 32, seed) + mix16(p + len - 32, SECRET + 48, seed);
  }
  return avalanche3(acc + mix16(p, SECRET, seed) + mix16(p + len - 16, SECRET + 16, seed));
}

static u64 upTo240(const u8 *p, u32 len, u64 seed) {
  u64 acc = len * P64_1;
  for (u32 i = 0; i < 8; i++) acc += mix16(p + 16 * i, SECRET + 16 * i, seed);
  acc = avalanche3(acc);
  for (u32 i = 8; i < len / 16; i++) acc += mix16(p + 16 * i, SECRET + 16 * (i - 8) + 3, seed);
  return avalanche3(acc + mix16(p + len - 16, SECRET + 136 - 17, seed));
}

static inline void stripe(u64 *acc, const u8 *p, const u8 *s) {
  for (int i = 0; i < 8; i++) {
    u64 d = r64(p + 8 * i), k = d ^ r64(s + 8 * i);
    acc[i ^ 1] += d;
    acc[i] += (u64)(u32)k * (k >> 32);
  }
}

static u64 longer(const u8 *p, u32 len, u64 seed) {
  if (seed != seededFor || seed == 0) {
    for (int i = 0; i < 12; i++) {
      u64 lo = r64(SECRET + 16 * i) + seed, hi = r64(SECRET + 16 * i + 8) - seed;
      __builtin_memcpy(seeded + 16 * i, &lo, 8);
      __builtin_memcpy(seeded + 16 * i + 8, &hi, 8);
    }
    seededFor = seed;
  }
  u64 acc[8] = {P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1};
  u32 blocks = (len - 1) / 1024;
  for (u32 b = 0; b < blocks; b++) {
    for (int n = 0; n < 16; n++) stripe(acc, p + b * 1024 + n * 64, seeded + n * 8);
    for (int i = 0; i < 8; i++) acc[i] = (acc[i] ^ (acc[i] >> 47) ^ r64(seeded + 128 + 8 * i)) * P32_1;
  }
  u32 stripes = ((len - 1) - 1024 * blocks) / 64;
  for (u32 n = 0; n < stripes; n++) stripe(acc, p + blocks * 1024 + n * 64, seeded + n * 8);
  stripe(acc, p + len - 64, seeded + 121);
  u64 h = len * P64_1;
  for (int i = 0; i < 4; i++) h += fold(acc[2 * i] ^ r64(seeded + 11 + 16 * i), acc[2 * i + 1] ^ r64(seeded + 19 + 16 * i));
  return avalanche3(h);
}

static inline u64 hash(const u8 *p, u32 len, u64 seed) {
  if (len <= 16) return upTo16(p, len, seed);
  if (len <= 128) return upTo128(p, len, seed);
  if (len <= 240) return upTo240(p, len, seed);
  return longer(p, len, seed);
}

EXPORT("hash") u64 hashInput(u32 len, u64 seed) { return hash(area_in, len, seed); }

/* Names `blocks` blocks of `window` ids each, `stride` ids apart, from input(); writes locals to output()[0..blocks)
 * and rolling names to output()[blocks..2*blocks). `chained` 0 starts a chain: its first name is its local hash. */
EXPORT("name") u64 name(u32 blocks, u32 stride, u32 window, u64 seed, u64 chainSeed, u32 chained, u64 previous) {
  u64 *locals = area_out, *names = area_out + blocks;
  for (u32 i = 0; i < blocks; i++) {
    u64 local = hash(area_in + 4 * i * stride, 4 * window, seed);
    locals[i] = local;
    if (chained) {
      u64 pair[2] = {previous, local};
      previous = len9to16((const u8 *)pair, 16, chainSeed);
    } else {
      previous = local;
      chained = 1;
    }
    names[i] = previous;
  }
  return previous;
}
