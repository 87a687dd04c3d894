#ifndef VECLAB_CKERNELS_H
#define VECLAB_CKERNELS_H

// The arithmetic of training: one table of functions for each instruction set.
//
// Counts of elementwise functions are multiples of 16 (normals: any). Matrices are row-major; `ld…` is the distance between rows in floats. Buffers may have any alignment.
// A kernel writes columns 0 ..< (cols rounded up to 16) of its output and puts zeros beyond `cols`;
// it reads nothing of a left operand beyond its `inner` or `rows` columns, and what stands in the padding
// of other operands never reaches a valid column. Results depend on the numbers and the instruction set only.

#include <stdint.h>

enum {
  VL_LINEAR = 0,   // y = x
  VL_MISH = 1,     // y = x tanh(ln(1 + e^x))
  VL_RELU = 2,     // y = max(x, 0)
  VL_TANH = 3,     // y = tanh(x)
  VL_ELU = 4,      // y = x > 0 ? x : e^x - 1
  VL_MULTIPLY = 5, // y = x * derivative (the chain rule); products only, without bias and add
};

typedef struct {
  long rows, inner, cols;
  const float *a;
  long lda;
  const float *b;
  long ldb;
  float *c; // must not overlap another operand
  long ldc;
  const float *bias; // row vector of `cols` numbers, or null
  const float *add;  // matrix rows x cols, or null
  long ldadd;
  int activation;
  float *derivative; // rows x cols: written with f'(x) unless null; read by VL_MULTIPLY
  long ldd;
  int accumulate; // transposed product only: c += instead of c =
  const float *ahead; // plain product only: numbers needed soon, brought into the second cache meanwhile
  long ahead_count;
  // Number of the pass that the product is part of, during which b does not change; 0: of none. Kernels that bring
  // operands into another form do that once a pass.
  uint64_t pass;
} VLProduct;

// The number of a new pass on this thread.
uint64_t vl_new_pass(void);

// A layer of which each sample needs one output only, number choice[r] of row r: the value of the action taken.
// Same numbers, in the same order of summation, as the products above give for those outputs.
typedef struct {
  long rows, inner;
  const int32_t *choice; // [rows]
  const float *a;        // rows x inner
  long lda;
  const float *b; // transposed weights: outputs x inner
  long ldb;
  const float *bias; // [outputs]
  float *y;          // [rows]
  // Gradients, from dy [rows]: da = dy b factor (rows x inner), dw += a^T dy (inner x outputs).
  const float *dy;
  const float *factor;
  long ldf;
  float *da;
  long ldda;
  float *dw;
  long lddw;
} VLChosen;

// One reverse step of diffusion: u = clip(from_x x + from_f f), y = keep x + gain u + sigma z.
typedef struct {
  long count;
  float from_x, from_f, limit; // limit: |u| <= limit; infinity for none
  float keep, gain, sigma;
  const float *x, *f, *z; // z may be null when sigma is 0
  float *y;
  // Gradient: given dy, writes dx = keep dy + from_x du and df = from_f du (times 1 - f^2 when `tanh`).
  const float *dy;
  float *dx, *df;
  int tanh;
} VLDiffuse;

typedef struct {
  long count;
  float *parameters, *moment1, *moment2;
  float *targets; // null: no soft update
  const float *gradients;
  float gradient_scale; // clipping factor
  float beta1, beta2;
  float step_size;         // learning rate / (1 - beta1^t)
  float second_correction; // 1 / sqrt(1 - beta2^t)
  float epsilon;
  float soft; // targets += soft (parameters - targets)
} VLAdam;

typedef struct {
  const char *name;
  long lanes;             // floats per vector
  long flops_per_iteration; // of fma_loop
  void (*product)(const VLProduct *);              // c = f(a b + bias + add), a: rows x inner
  void (*transposed_product)(const VLProduct *);   // c (+)= a^T b, a: inner x rows
  void (*chosen)(const VLChosen *);                // y[r] = a[r] . b[choice[r]] + bias[choice[r]]
  void (*chosen_input_gradient)(const VLChosen *); // da
  void (*chosen_weight_gradient)(const VLChosen *); // dw
  void (*transpose)(long rows, long cols, const float *x, long ldx, float *y, long ldy);
  void (*activate)(int activation, long count, const float *x, float *y, float *derivative);
  void (*column_sums)(long rows, long cols, const float *x, long ldx, float *sums, int accumulate);
  // y[r] = sum over groups g of x[g rows + r]
  void (*group_sums)(long groups, long rows, long cols, const float *x, long ldx, float *y, long ldy);
  void (*softmax)(long rows, long cols, const float *x, long ldx, float *y, long ldy, int logarithm);
  void (*diffuse)(const VLDiffuse *);
  void (*diffuse_gradient)(const VLDiffuse *);
  void (*adam)(const VLAdam *);
  void (*soft_update)(long count, float soft, const float *parameters, float *targets);
  double (*sum_of_squares)(long count, const float *x);
  // Standard normal numbers number 32 block ..< 32 block + count of the stream `seed`.
  void (*normals)(uint64_t seed, uint64_t block, long count, float *y);
  // Multiply-adds in registers alone, to measure the peak; the result keeps them alive.
  float (*fma_loop)(long iterations);
} VLKernels;

// The table of "avx512", "avx2" or "base"; null when the name is unknown or this machine lacks it.
const VLKernels *vl_kernels(const char *name);

#endif
