// The kernels, written once for any vector length VL; included by one file for each instruction set.

#include "CKernels.h"

#ifndef BF16
#define BF16 0
#endif
#if BF16
#include <immintrin.h>
#include <stdlib.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define FOR(i, n) for (long i = 0; i < (n); i++)
#define UNROLLED(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef uint32_t vu __attribute__((vector_size(VL * 4)));
typedef uint64_t vl64 __attribute__((vector_size(VL * 8)));
typedef float vf_any __attribute__((vector_size(VL * 4), aligned(4), may_alias));

INLINE vf load(const float *p) { return *(const vf_any *)p; }
INLINE void store(float *p, vf v) { *(vf_any *)p = v; }
INLINE vf splat(float x) { return x - (vf){0}; }
INLINE vf blend(vi mask, vf yes, vf no) {
  return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
INLINE vf larger(vf a, vf b) { return blend(a > b, a, b); }
INLINE vf smaller(vf a, vf b) { return blend(a < b, a, b); }
INLINE vf absolute(vf x) { return (vf)((vi)x & 0x7fffffff); }

INLINE vi lane_numbers(void) {
  vi n;
  UNROLLED(i, VL) n[i] = i;
  return n;
}

// The first `count` lanes of x, zeros in the others.
INLINE vf first_lanes(vf x, long count) {
  return (vf)((vi)x & (lane_numbers() < (int)count));
}

INLINE long padded(long n) { return (n + 15) & ~15L; }

// Sum of the lanes, pairwise, in a fixed order.
INLINE float lane_sum(vf x) {
  float s[VL];
  UNROLLED(i, VL) s[i] = x[i];
  for (int n = VL / 2; n > 0; n /= 2) FOR(i, n) s[i] += s[i + n];
  return s[0];
}

INLINE float lane_max(vf x) {
  float m = x[0];
  UNROLLED(i, VL) m = x[i] > m ? x[i] : m;
  return m;
}

// ---- Elementary functions -------------------------------------------------------------------------

// e^x for x within [-87, 88], relative error 1.1e-7.
INLINE vf exponential_within(vf x) {
  vf n = x * 1.44269504f + 12582912.0f; // adding 1.5 * 2^23 rounds to the nearest integer
  vi power = (vi)n << 23;
  n = n - 12582912.0f;
  vf r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf p = r * 0.008312521f + 0.041890156f;
  p = p * r + 0.16667114f;
  p = p * r + 0.4999923f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return (vf)((vi)p + power);
}

// e^x for any x, held within e^-87 and e^88.
INLINE vf exponential(vf x) {
  return exponential_within(larger(smaller(x, splat(88.0f)), splat(-87.0f)));
}

// Natural logarithm of a positive normal number (Cephes).
INLINE vf logarithm(vf x) {
  vi bits = (vi)x;
  vf e = __builtin_convertvector((bits >> 23) - 126, vf);
  vf m = (vf)((bits & 0x007fffff) | 0x3f000000);
  vi small = m < 0.707106781186547524f;
  e = e - (vf)(small & (vi)splat(1.0f));
  m = m + (vf)(small & (vi)m) - 1.0f;
  vf z = m * m;
  vf p = m * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * z - e * 2.12194440e-4f - z * 0.5f;
  return m + p + e * 0.693359375f;
}

// sin(pi x) for |x| <= 1/2.
INLINE vf sine_of_pi(vf x) {
  vf z = x * x;
  vf p = z * 0.077560425f - 0.59824216f;
  p = p * z + 2.5500698f;
  p = p * z - 5.16771f;
  p = p * z + 3.1415927f;
  return p * x;
}

// Mish and its derivative from one exponential and one division:
// with w = e^x (e^x + 2), tanh(ln(1 + e^x)) = w / (w + 2).
INLINE vf mish(vf x, vf *derivative) {
  x = larger(splat(-87.0f), x); // the order of arguments keeps a NaN
  vf held = smaller(splat(30.0f), x);
  vf e = exponential_within(held);
  vf w = e * (e + 2.0f);
  vf inverse = 1.0f / (w + 2.0f);
  vf t = w * inverse;
  *derivative = held * 4.0f * (e * inverse) * ((e + 1.0f) * inverse) + t;
  return x * t;
}

// tanh: a polynomial near zero (Cephes), an exponential elsewhere.
INLINE vf hyperbolic_tangent(vf x) {
  vf a = absolute(x), z = x * x;
  vf p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  vf small = p * z * x + x;
  vf big = 1.0f - 2.0f / (exponential(2.0f * smaller(a, splat(10.0f))) + 1.0f);
  big = (vf)((vi)big | ((vi)x & (int32_t)0x80000000));
  return blend(a < 0.625f, small, blend(x == x, big, x));
}

// y = f(x), and f'(x) into *d.
INLINE vf activated(int activation, vf x, vf *d) {
  vf one = splat(1.0f), y;
  switch (activation) {
  case VL_MISH: return mish(x, d);
  case VL_RELU:
    *d = (vf)((x > 0.0f) & (vi)one);
    return (vf)((x > 0.0f) & (vi)x) + (x - x); // x - x keeps a NaN
  case VL_TANH:
    y = hyperbolic_tangent(x);
    *d = 1.0f - y * y;
    return y;
  case VL_ELU:
    y = exponential(smaller(x, splat(0.0f)));
    *d = blend(x > 0.0f, one, y);
    return blend(x > 0.0f, x, blend(x == x, y - 1.0f, x));
  default: *d = one; return x;
  }
}

// ---- Matrix products ------------------------------------------------------------------------------

// What a product multiplies: numbers, or with BF16 pairs of consecutive inner indices rounded to bfloat16, the even one
// in the low half. Sums are single precision either way.
#if BF16
typedef uint32_t operand;
typedef __m512bh vop;
#define INNER(n) (((n) + 1) / 2)
INLINE vop load_operand(const operand *p) { return (vop)_mm512_loadu_si512(p); }
INLINE vop splat_operand(operand x) { return (vop)_mm512_set1_epi32((int)x); }
INLINE vf multiply_add(vf sum, vop left, vop right) { return (vf)_mm512_dpbf16_ps((__m512)sum, left, right); }
#else
typedef float operand;
typedef vf vop;
#define INNER(n) (n)
INLINE vop load_operand(const operand *p) { return load(p); }
INLINE vop splat_operand(operand x) { return splat(x); }
INLINE vf multiply_add(vf sum, vop left, vop right) { return sum + left * right; }
#endif

// Brings `vectors` vectors of a row nearer.
INLINE void fetch(const void *row, long vectors, int write) {
  const float *x = row;
  for (long j = 0; j < vectors * VL; j += 16) {
    if (write) __builtin_prefetch(x + j, 1);
    else __builtin_prefetch(x + j);
  }
}

// What one call of a tile works on. `factor` (c is multiplied by it) may be null, and so may `derivative` and
// `add`, which are only fetched, because they are needed right after.
typedef struct {
  long inner; // operands
  const operand *a;
  long lda;
  const operand *b;
  long ldb;
  float *c;
  long ldc;
  const float *factor, *derivative;
  long ldd;
  const float *add;
  long ldadd;
  int accumulate;
  const float *soon; // numbers of the next product: `ahead` groups of 16 are brought into the second cache
  long ahead;
} TileWork;

// A tile of R rows x W vectors of c, kept in registers over the whole inner dimension. ROW, STEP: distances in a
// between rows of the tile and between inner indices; FAR: whether STEP leads to another line. The inner loop runs
// in R parts, each of which fetches one row of what the end needs: all at once they would delay the operands.
#define DEFINE_TILE(NAME, R, W, ROW, STEP, FAR)                                                    \
  static void NAME##_##R##x##W(const TileWork *p) {                                                \
    long inner = p->inner, lda = p->lda, ldb = p->ldb, ldc = p->ldc, k = 0;                        \
    const operand *a = p->a, *b = p->b;                                                            \
    const float *factor = p->factor;                                                               \
    float *c = p->c;                                                                               \
    vf sum[R][W];                                                                                  \
    UNROLLED(r, R) UNROLLED(w, W) sum[r][w] = p->accumulate ? load(c + r * ldc + w * VL) : (vf){0}; \
    FOR(part, R) {                                                                                 \
      if (!p->accumulate) fetch(c + part * ldc, W, 1);                                             \
      if (factor) fetch(factor + part * p->ldd, W, 0);                                             \
      if (p->derivative) fetch(p->derivative + part * p->ldd, W, 1);                               \
      if (p->add) fetch(p->add + part * p->ldadd, W, 0);                                           \
      for (long j = part * p->ahead / (R); j < (part + 1) * p->ahead / (R); j++)                    \
        __builtin_prefetch(p->soon + j * 16, 0, 2);                                                \
      for (long end = (part + 1) * inner / (R); k < end; k++) {                                    \
        vop right[W];                                                                              \
        UNROLLED(w, W) right[w] = load_operand(b + w * VL);                                        \
        fetch(b + 8 * ldb, W, 0);                                                                  \
        UNROLLED(r, R) {                                                                           \
          vop left = splat_operand(a[r * (ROW)]);                                                  \
          UNROLLED(w, W) sum[r][w] = multiply_add(sum[r][w], left, right[w]);                      \
        }                                                                                          \
        if (FAR) {                                                                                 \
          __builtin_prefetch(a + 12 * (STEP));                                                     \
          if (MANY_REGISTERS) __builtin_prefetch(a + 12 * (STEP) + (R) - 1);                       \
        }                                                                                          \
        a += STEP;                                                                                 \
        b += ldb;                                                                                  \
      }                                                                                            \
    }                                                                                              \
    if (factor) UNROLLED(r, R) UNROLLED(w, W) sum[r][w] *= load(factor + r * p->ldd + w * VL);     \
    UNROLLED(r, R) UNROLLED(w, W) store(c + r * ldc + w * VL, sum[r][w]);                          \
  }

#define DEFINE_TILES(R, W)                                                                         \
  DEFINE_TILE(plain, R, W, lda, 1, 0)                                                              \
  DEFINE_TILE(transposed, R, W, 1, lda, 1)

#if MANY_REGISTERS
#define MAX_WIDTH 4
#define TILES(X) X(6, 4) X(4, 4) X(2, 4) X(1, 4) X(8, 3) X(4, 3) X(2, 3) X(1, 3) X(8, 2) X(4, 2)   \
  X(2, 2) X(1, 2) X(8, 1) X(4, 1) X(2, 1) X(1, 1)
#else
#define MAX_WIDTH 2
#define TILES(X) X(6, 2) X(4, 2) X(2, 2) X(1, 2)
#endif

TILES(DEFINE_TILES)

typedef void Tile(const TileWork *);

// Tiles by width (vectors) and height (rows), the tallest first.
static const struct {
  int rows, width;
  Tile *plain, *transposed;
} tiles[] = {
#define ENTRY(R, W) {R, W, plain_##R##x##W, transposed_##R##x##W},
  TILES(ENTRY)
};
#define TILE_COUNT (int)(sizeof(tiles) / sizeof(tiles[0]))

// How wide the next panel should be when `vectors` are left: 4 wide in general, 3 wide where 4 would
// leave 1 or 2 (9 vectors, of 132 actions, are three panels of 8 x 3 tiles).
INLINE long panel_width(long vectors) {
  if (vectors <= MAX_WIDTH) return vectors;
  long rest = vectors % 4;
  return MAX_WIDTH == 4 && (rest == 1 || rest == 2) ? 3 : MAX_WIDTH;
}

// What follows the sums of a tile, while it is in the nearest cache. `q` is a copy, so that the compiler
// knows that stores to the matrix leave it alone.
INLINE void finish_as(int activation, int slopes, VLProduct q, long row, long rows, long col,
                      long width) {
  for (long r = row; r < row + rows; r++) {
    float *c = q.c + r * q.ldc, *derivative = slopes ? q.derivative + r * q.ldd : 0;
    const float *add = q.add ? q.add + r * q.ldadd : 0;
    for (long j = col; j < col + width * VL; j += VL) {
      vf x = load(c + j), d;
      if (q.bias) x += load(q.bias + j);
      if (add) x += load(add + j);
      store(c + j, activated(activation, x, &d));
      if (slopes) store(derivative + j, d);
    }
  }
}

static void finish(const VLProduct *p, long row, long rows, long col, long width) {
#define CASE(KIND)                                                                                 \
  case KIND:                                                                                       \
    if (p->derivative) finish_as(KIND, 1, *p, row, rows, col, width);                              \
    else finish_as(KIND, 0, *p, row, rows, col, width);                                            \
    break;
  switch (p->activation) {
    CASE(VL_LINEAR)
    CASE(VL_MISH)
    CASE(VL_RELU)
    CASE(VL_TANH)
    CASE(VL_ELU)
  }
#undef CASE
}

// Zeros in columns `cols` ..< padded(cols).
static void clear_padding(long rows, long cols, float *x, long ldx) {
  for (long j = cols / VL * VL; j < padded(cols); j += VL)
    FOR(r, rows) {
      float *p = x + r * ldx + j;
      store(p, first_lanes(load(p), cols > j ? cols - j : 0));
    }
}

// Inner indices at a time. With many registers a panel of b is wide and stays in the second cache; with few it is
// narrow, and the lines of a that several tiles share have to stay in the first.
#define KC (MANY_REGISTERS ? 512 : 256)

#if BF16
// Memory that grows to what was needed most; a thread keeps it.
typedef struct {
  operand *memory;
  long capacity;
} Store;

static operand *room(Store *store, long count) {
  if (count > store->capacity) {
    free(store->memory);
    store->memory = aligned_alloc(64, (size_t)(count * 4 + 63) & ~63ul);
    if (!store->memory) abort();
    store->capacity = count;
  }
  return store->memory;
}

// Right operands of the present pass, by their place in memory: the weights that every denoising step multiplies by.
typedef struct {
  const float *b;
  long inner, cols, ldb;
  uint64_t pass;
  Store store;
} Paired;
#define PAIRED_COUNT 32

INLINE __m512i rounded(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

// y[r][k] = pair (x[r][2 k], x[r][2 k + 1]): pairs along the rows, for a plain left operand.
static void pair_along(long rows, long cols, const float *x, long ldx, operand *y, long ldy) {
  long whole = cols / 32 * 32, rest = cols - whole;
  __mmask16 low = (__mmask16)(rest >= 16 ? 0xffff : (1u << rest) - 1);
  __mmask16 high = (__mmask16)(rest > 16 ? (1u << (rest - 16)) - 1 : 0);
  __mmask16 pairs = (__mmask16)((1u << INNER(rest)) - 1);
  FOR(r, rows) {
    const float *in = x + r * ldx;
    operand *out = y + r * ldy;
    for (long k = 0; k < whole; k += 32)
      _mm512_storeu_si512(out + k / 2, rounded(_mm512_loadu_ps(in + k), _mm512_loadu_ps(in + k + 16)));
    if (rest)
      _mm512_mask_storeu_epi32(out + whole / 2, pairs,
                               rounded(_mm512_maskz_loadu_ps(low, in + whole), _mm512_maskz_loadu_ps(high, in + whole + 16)));
  }
}

// y[k][j] = pair (x[2 k][j], x[2 k + 1][j]): pairs of rows, for right operands and transposed left ones. Columns up to
// the next multiple of 16 are zero beyond `cols`.
static void pair_across(long rows, long cols, const float *x, long ldx, operand *y, long ldy) {
  static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  __m512i interleaved = _mm512_loadu_si512(order);
  long whole = cols / 16 * 16;
  __mmask16 rest = (__mmask16)((1u << (cols - whole)) - 1);
  FOR(k, INNER(rows)) {
    const float *even = x + 2 * k * ldx, *odd = even + ldx;
    operand *out = y + k * ldy;
    if (2 * k + 1 == rows) { // an odd number of rows ends with zeros
      for (long j = 0; j < cols; j += 16)
        _mm512_storeu_si512(
            out + j, _mm512_permutexvar_epi16(
                         interleaved, rounded(_mm512_maskz_loadu_ps(j < whole ? 0xffff : rest, even + j), _mm512_setzero_ps())));
      return;
    }
    for (long j = 0; j < whole; j += 16) {
      __builtin_prefetch(even + j + 4 * ldx);
      __builtin_prefetch(odd + j + 4 * ldx);
      _mm512_storeu_si512(out + j, _mm512_permutexvar_epi16(
                                       interleaved, rounded(_mm512_loadu_ps(even + j), _mm512_loadu_ps(odd + j))));
    }
    if (rest)
      _mm512_storeu_si512(
          out + whole, _mm512_permutexvar_epi16(interleaved, rounded(_mm512_maskz_loadu_ps(rest, even + whole),
                                                                     _mm512_maskz_loadu_ps(rest, odd + whole))));
  }
}

// The operands of a product, rounded and paired.
typedef struct {
  const operand *a, *b;
  long lda, ldb, inner;
} Operands;

static const operand *right_operand(const VLProduct *p, long ldb) {
  static _Thread_local Paired kept[PAIRED_COUNT];
  static _Thread_local Store single;
  Paired *place = &kept[((uintptr_t)p->b >> 6) * 0x9e3779b97f4a7c15ull >> 59];
  if (p->pass == 0) {
    operand *b = room(&single, INNER(p->inner) * ldb);
    pair_across(p->inner, p->cols, p->b, p->ldb, b, ldb);
    return b;
  }
  if (place->pass != p->pass || place->b != p->b || place->inner != p->inner || place->cols != p->cols ||
      place->ldb != p->ldb) {
    pair_across(p->inner, p->cols, p->b, p->ldb, room(&place->store, INNER(p->inner) * ldb), ldb);
    *place = (Paired){p->b, p->inner, p->cols, p->ldb, p->pass, place->store};
  }
  return place->store.memory;
}

static Operands operands(const VLProduct *p, int is_transposed) {
  static _Thread_local Store left;
  long inner = INNER(p->inner), lda = is_transposed ? padded(p->rows) : padded(inner), ldb = padded(p->cols);
  operand *a = room(&left, (is_transposed ? inner : p->rows) * lda);
  if (is_transposed) pair_across(p->inner, p->rows, p->a, p->lda, a, lda);
  else pair_along(p->rows, p->inner, p->a, p->lda, a, lda);
  return (Operands){a, right_operand(p, ldb), lda, ldb, inner};
}
#else
typedef VLProduct Operands;
#define operands(p, is_transposed) (*(p))
#endif

static void product(const VLProduct *p) {
  Operands o = operands(p, 0);
  int multiply = p->activation == VL_MULTIPLY;
  long vectors = padded(p->cols) / VL, lines = p->ahead_count / 16, done = 0, all = vectors * p->rows;
  for (long v = 0, width; v < vectors; v += width) {
    width = panel_width(vectors - v);
    long row = 0;
    FOR(t, TILE_COUNT) {
      if (tiles[t].width != width) continue;
      for (; row + tiles[t].rows <= p->rows; row += tiles[t].rows) {
        long from = lines * done / all;
        done += tiles[t].rows * width;
        float *derivative = p->derivative ? p->derivative + row * p->ldd + v * VL : 0;
        TileWork tile = {
            .inner = o.inner,
            .a = o.a + row * o.lda,
            .lda = o.lda,
            .b = o.b + v * VL,
            .ldb = o.ldb,
            .c = p->c + row * p->ldc + v * VL,
            .ldc = p->ldc,
            .factor = multiply ? derivative : 0,
            .derivative = multiply ? 0 : derivative,
            .ldd = p->ldd,
            .add = p->add ? p->add + row * p->ldadd + v * VL : 0,
            .ldadd = p->ldadd,
            .soon = p->ahead + from * 16,
            .ahead = lines * done / all - from,
        };
        tiles[t].plain(&tile);
        if (!multiply) finish(p, row, tiles[t].rows, v * VL, width);
      }
    }
  }
  clear_padding(p->rows, p->cols, p->c, p->ldc);
  if (p->derivative && !multiply) clear_padding(p->rows, p->cols, p->derivative, p->ldd);
}

static void transposed_product(const VLProduct *p) {
  Operands o = operands(p, 1);
  long vectors = padded(p->cols) / VL;
  for (long v = 0, width; v < vectors; v += width) {
    width = panel_width(vectors - v);
    long k = 0;
    do { // once even for no rows at all: the sum over nothing is zero
      long depth = o.inner - k < KC ? o.inner - k : KC, row = 0;
      FOR(t, TILE_COUNT) {
        if (tiles[t].width != width) continue;
        for (; row + tiles[t].rows <= p->rows; row += tiles[t].rows) {
          TileWork work = {
              .inner = depth,
              .a = o.a + k * o.lda + row,
              .lda = o.lda,
              .b = o.b + k * o.ldb + v * VL,
              .ldb = o.ldb,
              .c = p->c + row * p->ldc + v * VL,
              .ldc = p->ldc,
              .accumulate = p->accumulate || k > 0,
          };
          tiles[t].transposed(&work);
        }
      }
      k += KC;
    } while (k < o.inner);
  }
  clear_padding(p->rows, p->cols, p->c, p->ldc);
}

// Four rows at a time hide the latency of their sums, each of which runs in the order of a tile's.
static void chosen(const VLChosen *p) {
  for (long r = 0; r < p->rows; r += 4) {
    const float *a[4], *b[4];
    float sum[4] = {0};
    UNROLLED(i, 4) {
      long row = r + i < p->rows ? r + i : r;
      a[i] = p->a + row * p->lda;
      b[i] = p->b + p->choice[row] * p->ldb;
    }
    FOR(k, p->inner) UNROLLED(i, 4) sum[i] += a[i][k] * b[i][k];
    for (int i = 0; i < 4 && r + i < p->rows; i++) p->y[r + i] = sum[i] + p->bias[p->choice[r + i]];
  }
}

static void chosen_input_gradient(const VLChosen *p) {
  FOR(r, p->rows) {
    const float *b = p->b + p->choice[r] * p->ldb, *factor = p->factor + r * p->ldf;
    vf dy = splat(p->dy[r]);
    for (long k = 0; k < padded(p->inner); k += VL) {
      vf da = (dy * load(b + k) + 0.0f) * load(factor + k); // a sum of one term begins at zero
      if (k + VL > p->inner) da = first_lanes(da, p->inner > k ? p->inner - k : 0);
      store(p->da + r * p->ldda + k, da);
    }
  }
}

// A few rows of dw at a time, so that the places that samples add to stay in the first cache.
static void chosen_weight_gradient(const VLChosen *p) {
  for (long k = 0; k < p->inner; k += 16) {
    long count = p->inner - k < 16 ? p->inner - k : 16;
    FOR(r, p->rows) {
      const float *a = p->a + r * p->lda + k;
      float *dw = p->dw + k * p->lddw + p->choice[r], dy = p->dy[r];
      __builtin_prefetch(a + 8 * p->lda);
      FOR(i, count) dw[i * p->lddw] += a[i] * dy;
    }
  }
}

#if VL == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VL == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

// y = x^T in blocks of VL x VL, interleaved log2(VL) times; columns of y beyond `rows`, up to the next
// multiple of 16, become zero.
static void transpose(long rows, long cols, const float *x, long ldx, float *y, long ldy) {
  for (long r = 0; r < padded(rows); r += VL)
    for (long c = 0; c < cols; c += VL) {
      vf block[VL], next[VL];
      UNROLLED(i, VL) block[i] = r + i < rows ? load(x + (r + i) * ldx + c) : (vf){0};
      for (int half = 1; half < VL; half *= 2) {
        UNROLLED(i, VL / 2) {
          next[2 * i] = __builtin_shufflevector(block[i], block[i + VL / 2], LOW_HALVES);
          next[2 * i + 1] = __builtin_shufflevector(block[i], block[i + VL / 2], HIGH_HALVES);
        }
        UNROLLED(i, VL) block[i] = next[i];
      }
      UNROLLED(i, VL) if (c + i < cols) store(y + (c + i) * ldy + r, block[i]);
    }
}

// ---- Elementwise work and reductions --------------------------------------------------------------

// Counts are multiples of 16, so of VL too: rows and parameter blocks are padded to that.

static void activate(int activation, long count, const float *x, float *y, float *derivative) {
  for (long i = 0; i < count; i += VL) {
    vf d;
    store(y + i, activated(activation, load(x + i), &d));
    if (derivative) store(derivative + i, d);
  }
}

static void column_sums(long rows, long cols, const float *x, long ldx, float *sums,
                        int accumulate) {
  for (long j = 0; j < padded(cols); j += VL) {
    vf s0 = accumulate ? load(sums + j) : (vf){0}, s1 = {0}, s2 = {0}, s3 = {0};
    const float *p = x + j;
    long r = 0;
    for (; r + 4 <= rows; r += 4, p += 4 * ldx) {
      s0 += load(p);
      s1 += load(p + ldx);
      s2 += load(p + 2 * ldx);
      s3 += load(p + 3 * ldx);
    }
    for (; r < rows; r++, p += ldx) s0 += load(p);
    s0 = (s0 + s1) + (s2 + s3);
    store(sums + j, j + VL > cols ? first_lanes(s0, cols > j ? cols - j : 0) : s0);
  }
}

static void group_sums(long groups, long rows, long cols, const float *x, long ldx, float *y,
                       long ldy) {
  FOR(r, rows) {
    for (long j = 0; j < padded(cols); j += VL) {
      vf s = {0};
      FOR(g, groups) s += load(x + (g * rows + r) * ldx + j);
      store(y + r * ldy + j, j + VL > cols ? first_lanes(s, cols > j ? cols - j : 0) : s);
    }
  }
}

static void softmax(long rows, long cols, const float *x, long ldx, float *y, long ldy,
                    int logarithmic) {
  vf least = splat(-__builtin_inff());
  FOR(r, rows) {
    const float *in = x + r * ldx;
    float *out = y + r * ldy;
    vf top = least, sum = {0};
    for (long j = 0; j < cols; j += VL)
      top = larger(top, blend(lane_numbers() < (int)(cols - j), load(in + j), least));
    vf peak = splat(lane_max(top));
    for (long j = 0; j < padded(cols); j += VL) {
      vf shifted = load(in + j) - peak;
      vf e = first_lanes(exponential(shifted), cols > j ? cols - j : 0);
      sum += e;
      store(out + j, logarithmic ? first_lanes(shifted, cols > j ? cols - j : 0) : e);
    }
    vf total = splat(lane_sum(sum));
    vf scale = 1.0f / total, shift = logarithm(total);
    for (long j = 0; j < padded(cols); j += VL) {
      vf v = load(out + j);
      v = logarithmic ? v - shift : v * scale;
      store(out + j, first_lanes(v, cols > j ? cols - j : 0));
    }
  }
}

static void diffuse(const VLDiffuse *p) {
  vf limit = splat(p->limit);
  for (long i = 0; i < p->count; i += VL) {
    vf x = load(p->x + i), u = x * p->from_x + load(p->f + i) * p->from_f;
    u = blend(u > limit, limit, blend(u < -limit, -limit, u));
    vf y = x * p->keep + u * p->gain;
    if (p->z) y += load(p->z + i) * p->sigma;
    store(p->y + i, y);
  }
}

static void diffuse_gradient(const VLDiffuse *p) {
  vf limit = splat(p->limit);
  for (long i = 0; i < p->count; i += VL) {
    vf f = load(p->f + i), u = load(p->x + i) * p->from_x + f * p->from_f, dy = load(p->dy + i);
    vf du = (vf)((absolute(u) <= limit) & (vi)(dy * p->gain)), df = du * p->from_f;
    if (p->tanh) df *= 1.0f - f * f;
    store(p->dx + i, dy * p->keep + du * p->from_x);
    store(p->df + i, df);
  }
}

static void adam(const VLAdam *p) {
  for (long i = 0; i < p->count; i += VL) {
    vf x = load(p->parameters + i), g = load(p->gradients + i) * p->gradient_scale;
    vf m = load(p->moment1 + i) * p->beta1 + g * (1.0f - p->beta1);
    vf v = load(p->moment2 + i) * p->beta2 + g * g * (1.0f - p->beta2);
    x -= m * p->step_size / (__builtin_elementwise_sqrt(v) * p->second_correction + p->epsilon);
    store(p->parameters + i, x);
    store(p->moment1 + i, m);
    store(p->moment2 + i, v);
    if (!p->targets) continue;
    vf target = load(p->targets + i);
    store(p->targets + i, target + (x - target) * p->soft);
  }
}

static void soft_update(long count, float soft, const float *parameters, float *targets) {
  for (long i = 0; i < count; i += VL) {
    vf target = load(targets + i);
    store(targets + i, target + (load(parameters + i) - target) * soft);
  }
}

// In double from blocks of at most 64 vectors summed in single precision.
static double sum_of_squares(long count, const float *x) {
  double total = 0;
  for (long from = 0; from < count; from += 64 * VL) {
    long to = from + 64 * VL < count ? from + 64 * VL : count;
    vf s = {0};
    for (long i = from; i < to; i += VL) s += load(x + i) * load(x + i);
    total += (double)lane_sum(s);
  }
  return total;
}

// Counter-based: pair number n of the stream comes from SplitMix64's mix of seed + n * golden ratio,
// by Box and Muller. A block of 16 pairs gives 16 cosines, then 16 sines.
static void normals(uint64_t seed, uint64_t block, long count, float *y) {
  vl64 lane;
  UNROLLED(i, VL) lane[i] = (uint64_t)i;
  for (long done = 0; done < count; done += 32, block++) {
    float whole[32], *out = count - done >= 32 ? y + done : whole;
    for (long j = 0; j < 16; j += VL) {
      vl64 h = seed + (lane + (block * 16 + (uint64_t)j + 1)) * 0x9e3779b97f4a7c15ull;
      h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
      h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
      h = h ^ (h >> 31);
      vi low = __builtin_convertvector(h, vi), high = __builtin_convertvector(h >> 32, vi);
      vf uniform = __builtin_convertvector((vi)((vu)low >> 8) + 1, vf) * 0x1p-24f;
      vf radius = __builtin_elementwise_sqrt(-2.0f * logarithm(uniform));
      vf angle = __builtin_convertvector(high, vf) * 0x1p-31f; // in units of pi, within [-1, 1]
      vf size = absolute(angle);
      vf folded = smaller(size, 1.0f - size);
      folded = (vf)((vi)folded | ((vi)angle & (int32_t)0x80000000));
      store(out + j, radius * sine_of_pi(0.5f - size));
      store(out + 16 + j, radius * sine_of_pi(folded));
    }
    if (out == whole) FOR(q, count - done) y[done + q] = whole[q];
  }
}

#if MANY_REGISTERS
#define CHAINS 24
#else
#define CHAINS 12
#endif

// Every chain starts from a number that only the caller knows, so that the compiler computes none of them.
static float fma_loop(long iterations) {
  vf sum[CHAINS], factor = splat(0.999999f), term = splat(1e-6f);
  UNROLLED(i, CHAINS) sum[i] = splat((float)(iterations + i));
  FOR(n, iterations) {
    UNROLLED(i, CHAINS) sum[i] = sum[i] * factor + term;
  }
  vf total = sum[0];
  for (int i = 1; i < CHAINS; i++) total += sum[i];
  return lane_sum(total);
}

const VLKernels TABLE = {
    ISA_NAME, VL, 2 * VL * CHAINS,
    product, transposed_product, chosen, chosen_input_gradient, chosen_weight_gradient, transpose,
    activate, column_sums, group_sums, softmax,
    diffuse, diffuse_gradient, adam, soft_update, sum_of_squares, normals, fma_loop,
};
