/* Shim for oneDNN: convolution and matrix product on one thread, with memory that the caller brings.
 *
 * Everything is thread-safe: an nn_conv is immutable after nn_conv_new, and what a call needs (scratchpad, operands)
 * comes with the call. oneDNN itself would start an OpenMP team; nn_single_enter keeps it on the calling thread, so
 * that a result never depends on how many cores there are.
 */
#ifndef MSFL_NN_DNNL_H
#define MSFL_NN_DNNL_H

#include "medsecurefl/status.h"

typedef struct nn_conv nn_conv;

/** Images are NHWC, kernels HWIO; all float. With kd not 0 they are volumes: NDHWC and DHWIO. */
typedef struct nn_conv_shape {
    uint32_t n;              /**< images per call */
    uint32_t id, ih, iw, ic; /**< input; depths are looked at for volumes only */
    uint32_t od, oh, ow, oc; /**< output */
    uint32_t kd, kh, kw;     /**< kernel */
    uint32_t sd, sh, sw;     /**< stride */
    uint32_t pf, pt, pl;     /**< padding: front, top, left */
    uint32_t pk, pb, pr;     /**< padding: back, bottom, right */
    bool bias;               /**< add one value per output channel */
    bool relu;               /**< clamp the output at 0 from below */
    bool input_gradient;     /**< nn_conv_backward_input will be called */
} nn_conv_shape;

/** What a thread had before nn_single_enter. */
typedef struct nn_single {
    int omp_threads;
    unsigned float_mode;
} nn_single;

/** Between these, the calling thread runs oneDNN alone and flushes denormal numbers to zero (they cost a hundredfold
 *  and carry nothing here). Both settings belong to the thread and are put back. */
nn_single nn_single_enter(void);
void nn_single_leave(nn_single before);

/** Compile. ERR_MEMORY, or ERR_UNSUPPORTED when oneDNN has no implementation. */
msfl_status nn_conv_new(const nn_conv_shape *shape, nn_conv **out) MSFL_NODISCARD;
void nn_conv_free(nn_conv *conv);

/** Bytes of scratchpad that any call on `conv` may use; 64-byte aligned. */
size_t nn_conv_scratchpad_bytes(const nn_conv *conv);
/** Floats of the kernel in the layouts the forward and the input-gradient pass want, and of the kernel's gradient. */
size_t nn_conv_forward_floats(const nn_conv *conv);
size_t nn_conv_backward_floats(const nn_conv *conv);
size_t nn_conv_gradient_floats(const nn_conv *conv);

/** HWIO (DHWIO) kernel into both working layouts (`backward` NULL without input_gradient). */
msfl_status nn_conv_pack(const nn_conv *conv, const float *kernel, float *forward, float *backward) MSFL_NODISCARD;
/** A kernel gradient (or a sum of such) from its working layout to HWIO (DHWIO). */
msfl_status nn_conv_unpack_gradient(const nn_conv *conv, const float *gradient, float *kernel) MSFL_NODISCARD;

/** y = relu?(conv(x) + bias). `bias` NULL when the shape has none. */
msfl_status nn_conv_forward(const nn_conv *conv, const float *x, const float *packed, const float *bias, float *y,
                            void *scratchpad) MSFL_NODISCARD;
/** Gradient of kernel (working layout) and bias from x and the gradient before ReLU; both are overwritten. */
msfl_status nn_conv_backward_kernel(const nn_conv *conv, const float *x, const float *dy, float *gradient,
                                    float *bias_gradient, void *scratchpad) MSFL_NODISCARD;
/** dx from the gradient before ReLU. */
msfl_status nn_conv_backward_input(const nn_conv *conv, const float *dy, const float *packed, float *dx,
                                   void *scratchpad) MSFL_NODISCARD;

/** Names of the implementations chosen, for benchmarks: "forward, kernel gradient, input gradient". */
void nn_conv_describe(const nn_conv *conv, char *text, size_t size);

/** Row-major C (m x n) = op(A) op(B) + beta C; op transposes where asked. A is m x k (k x m when transposed). */
msfl_status nn_matmul(bool transpose_a, bool transpose_b, uint32_t m, uint32_t n, uint32_t k, const float *a,
                      const float *b, float beta, float *c) MSFL_NODISCARD;

#endif
