#include "nn/dnnl.h"

#include "base/error.h"
#include "base/mem.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#if DNNL_VERSION_MAJOR != 2
#error "this shim is written for oneDNN 2.x; 3.x differs in how a primitive descriptor is made (conv_new below)"
#endif

/* The two functions of OpenMP that are needed here. Declared rather than included: the header that a compiler brings
 * may belong to another OpenMP library than the one oneDNN is linked with. */
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
extern void omp_set_num_threads(int);
extern int omp_get_max_threads(void);
#elif DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_SEQ
static void omp_set_num_threads(int n) {
    (void)n;
}
static int omp_get_max_threads(void) {
    return 1;
}
#else
#error "this oneDNN runs on a thread pool of its own; OpenMP or the sequential build is needed"
#endif

struct nn_conv {
    nn_conv_shape shape;
    dnnl_primitive_desc_t forward_pd, kernel_pd, input_pd;
    dnnl_primitive_t forward, kernel, input;
    dnnl_primitive_t pack_forward, pack_backward, unpack;
    dnnl_memory_desc_t image_in, image_out, hwio, bias;           /* as the caller has them */
    dnnl_memory_desc_t forward_kernel, backward_kernel, gradient; /* as oneDNN likes them */
    size_t scratchpad_bytes;
};

/* One engine and one stream for the process. A CPU stream keeps no state between calls, so threads may share it. */
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static dnnl_status_t engine_status;

static void make_engine(void) {
    engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (engine_status == dnnl_success) engine_status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
}

static msfl_status fail(dnnl_status_t status, const char *what) {
    switch (status) {
    case dnnl_success:
        return MSFL_OK;
    case dnnl_out_of_memory:
        return msfl_fail(MSFL_ERR_MEMORY, "out of memory in oneDNN: %s", what);
    case dnnl_unimplemented:
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "oneDNN has no implementation: %s", what);
    default:
        return msfl_fail(MSFL_ERR_SYSTEM, "oneDNN failed with status %d: %s", (int)status, what);
    }
}

nn_single nn_single_enter(void) {
    nn_single before = {omp_get_max_threads(), 0};
    if (before.omp_threads != 1) omp_set_num_threads(1);
#if defined(__x86_64__)
    before.float_mode = _mm_getcsr();
    _mm_setcsr(before.float_mode | 0x8040); /* flush to zero, denormals are zero */
#endif
    return before;
}

void nn_single_leave(nn_single before) {
    if (before.omp_threads != 1) omp_set_num_threads(before.omp_threads);
#if defined(__x86_64__)
    _mm_setcsr(before.float_mode);
#endif
}

/* --- compiling --- */

static dnnl_memory_desc_t plain(int n_dims, const dnnl_dim_t *dims, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t md;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&md, n_dims, dims, dnnl_f32, tag);
    if (status != dnnl_success) md = (dnnl_memory_desc_t){0}; /* refused later, by the descriptor that uses it */
    return md;
}

static dnnl_memory_desc_t wanted(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, index);
    return md == NULL ? (dnnl_memory_desc_t){0} : *md;
}

static dnnl_status_t make_reorder(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, dnnl_primitive_t *out) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(out, pd);
    if (pd != NULL) dnnl_primitive_desc_destroy(pd);
    return status;
}

static void note_scratchpad(nn_conv *c, const_dnnl_primitive_desc_t pd) {
    dnnl_memory_desc_t md = wanted(pd, dnnl_query_scratchpad_md, 0);
    size_t bytes = md.ndims == 0 ? 0 : dnnl_memory_desc_get_size(&md);
    if (bytes > c->scratchpad_bytes) c->scratchpad_bytes = bytes;
}

/* oneDNN declares these as arrays of its largest rank. */
typedef struct window {
    dnnl_dims_t stride, before, after;
} window;

static dnnl_status_t make_forward(nn_conv *c, const dnnl_memory_desc_t *any, const window *w,
                                  const_dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct,
                                                              &c->image_in, any, c->shape.bias ? &c->bias : NULL,
                                                              &c->image_out, w->stride, w->before, w->after);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&c->forward_pd, &desc, attr, engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&c->forward, c->forward_pd);
    if (status != dnnl_success) return status;
    c->forward_kernel = wanted(c->forward_pd, dnnl_query_weights_md, 0);
    note_scratchpad(c, c->forward_pd);
    return make_reorder(&c->hwio, &c->forward_kernel, &c->pack_forward);
}

static dnnl_status_t make_kernel(nn_conv *c, const dnnl_memory_desc_t *any, const window *w,
                                 const_dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &c->image_in,
                                                                       any, c->shape.bias ? &c->bias : NULL,
                                                                       &c->image_out, w->stride, w->before, w->after);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&c->kernel_pd, &desc, attr, engine, c->forward_pd);
    if (status == dnnl_success) status = dnnl_primitive_create(&c->kernel, c->kernel_pd);
    if (status != dnnl_success) return status;
    c->gradient = wanted(c->kernel_pd, dnnl_query_diff_weights_md, 0);
    note_scratchpad(c, c->kernel_pd);
    return make_reorder(&c->gradient, &c->hwio, &c->unpack);
}

static dnnl_status_t make_input(nn_conv *c, const dnnl_memory_desc_t *any, const window *w,
                                const_dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &c->image_in, any,
                                                                    &c->image_out, w->stride, w->before, w->after);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&c->input_pd, &desc, attr, engine, c->forward_pd);
    if (status == dnnl_success) status = dnnl_primitive_create(&c->input, c->input_pd);
    if (status != dnnl_success) return status;
    c->backward_kernel = wanted(c->input_pd, dnnl_query_weights_md, 0);
    note_scratchpad(c, c->input_pd);
    return make_reorder(&c->hwio, &c->backward_kernel, &c->pack_backward);
}

static dnnl_status_t make_attributes(bool relu, dnnl_primitive_attr_t *out) {
    dnnl_post_ops_t after = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && relu) {
        status = dnnl_post_ops_create(&after);
        if (status == dnnl_success) status = dnnl_post_ops_append_eltwise(after, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, after);
        if (after != NULL) dnnl_post_ops_destroy(after);
    }
    return status;
}

static dnnl_status_t compile(nn_conv *c) {
    const nn_conv_shape *s = &c->shape;
    const bool volume = s->kd != 0;
    const dnnl_dims_t in2 = {s->n, s->ic, s->ih, s->iw}, in3 = {s->n, s->ic, s->id, s->ih, s->iw};
    const dnnl_dims_t out2 = {s->n, s->oc, s->oh, s->ow}, out3 = {s->n, s->oc, s->od, s->oh, s->ow};
    const dnnl_dims_t kernel2 = {s->oc, s->ic, s->kh, s->kw}, kernel3 = {s->oc, s->ic, s->kd, s->kh, s->kw};
    const dnnl_dims_t channels = {s->oc};
    const window w2 = {{s->sh, s->sw}, {s->pt, s->pl}, {s->pb, s->pr}};
    const window w3 = {{s->sd, s->sh, s->sw}, {s->pf, s->pt, s->pl}, {s->pk, s->pb, s->pr}};
    const window w = volume ? w3 : w2;
    c->image_in = volume ? plain(5, in3, dnnl_ndhwc) : plain(4, in2, dnnl_nhwc);
    c->image_out = volume ? plain(5, out3, dnnl_ndhwc) : plain(4, out2, dnnl_nhwc);
    c->hwio = volume ? plain(5, kernel3, dnnl_dhwio) : plain(4, kernel2, dnnl_hwio);
    c->bias = plain(1, channels, dnnl_x);
    dnnl_memory_desc_t any = volume ? plain(5, kernel3, dnnl_format_tag_any) : plain(4, kernel2, dnnl_format_tag_any);
    dnnl_primitive_attr_t with_relu = NULL, simple = NULL;
    dnnl_status_t status = make_attributes(s->relu, &with_relu);
    if (status == dnnl_success) status = make_attributes(false, &simple);
    if (status == dnnl_success) status = make_forward(c, &any, &w, with_relu);
    if (status == dnnl_success) status = make_kernel(c, &any, &w, simple);
    if (status == dnnl_success && s->input_gradient) status = make_input(c, &any, &w, simple);
    if (with_relu != NULL) dnnl_primitive_attr_destroy(with_relu);
    if (simple != NULL) dnnl_primitive_attr_destroy(simple);
    return status;
}

msfl_status nn_conv_new(const nn_conv_shape *shape, nn_conv **out) {
    *out = NULL;
    pthread_once(&engine_once, make_engine);
    if (engine_status != dnnl_success) return fail(engine_status, "no CPU engine");
    nn_conv *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_ERR_MEMORY;
    c->shape = *shape;
    nn_single before = nn_single_enter();
    dnnl_status_t status = compile(c);
    nn_single_leave(before);
    if (status != dnnl_success) {
        nn_conv_free(c);
        return fail(status, "a convolution could not be compiled");
    }
    *out = c;
    return MSFL_OK;
}

void nn_conv_free(nn_conv *c) {
    if (c == NULL) return;
    dnnl_primitive_t primitives[] = {c->forward, c->kernel, c->input, c->pack_forward, c->pack_backward, c->unpack};
    for (size_t i = 0; i < sizeof primitives / sizeof primitives[0]; i++) {
        if (primitives[i] != NULL) dnnl_primitive_destroy(primitives[i]);
    }
    dnnl_primitive_desc_t descriptors[] = {c->forward_pd, c->kernel_pd, c->input_pd};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i] != NULL) dnnl_primitive_desc_destroy(descriptors[i]);
    }
    msfl_free(c);
}

static size_t floats(const dnnl_memory_desc_t *md) {
    return md->ndims == 0 ? 0 : dnnl_memory_desc_get_size(md) / sizeof(float);
}

size_t nn_conv_scratchpad_bytes(const nn_conv *c) {
    return c->scratchpad_bytes;
}
size_t nn_conv_forward_floats(const nn_conv *c) {
    return floats(&c->forward_kernel);
}
size_t nn_conv_backward_floats(const nn_conv *c) {
    return floats(&c->backward_kernel);
}
size_t nn_conv_gradient_floats(const nn_conv *c) {
    return floats(&c->gradient);
}

void nn_conv_describe(const nn_conv *c, char *text, size_t size) {
    const_dnnl_primitive_desc_t descriptors[] = {c->forward_pd, c->kernel_pd, c->input_pd};
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < 3 && used < size; i++) {
        const char *name = "none";
        if (descriptors[i] != NULL) (void)dnnl_primitive_desc_query(descriptors[i], dnnl_query_impl_info_str, 0, &name);
        int n = snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ", name);
        used += n < 0 ? 0 : (size_t)n;
    }
}

/* --- running --- */

typedef struct operand {
    int index;
    const dnnl_memory_desc_t *md;
    const float *values;
} operand;

enum { OPERANDS_MAX = 5 };

/* Memory objects are a pointer and a shape: making them afresh costs under a microsecond and leaves no shared state. */
static msfl_status run(dnnl_primitive_t primitive, const operand *operands, int n, const char *what) {
    dnnl_exec_arg_t args[OPERANDS_MAX] = {{0}};
    dnnl_status_t status = dnnl_success;
    int made = 0;
    for (; made < n && status == dnnl_success; made++) {
        args[made].arg = operands[made].index;
        args[made].memory = NULL;
        status =
            dnnl_memory_create(&args[made].memory, operands[made].md, engine, (void *)(uintptr_t)operands[made].values);
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(primitive, stream, n, args);
    for (int i = 0; i < made; i++) {
        if (args[i].memory != NULL) dnnl_memory_destroy(args[i].memory);
    }
    return fail(status, what);
}

msfl_status nn_conv_pack(const nn_conv *c, const float *kernel, float *forward, float *backward) {
    operand there[2] = {{DNNL_ARG_FROM, &c->hwio, kernel}, {DNNL_ARG_TO, &c->forward_kernel, forward}};
    msfl_status status = run(c->pack_forward, there, 2, "kernel layout");
    if (status != MSFL_OK || c->pack_backward == NULL) return status;
    there[1] = (operand){DNNL_ARG_TO, &c->backward_kernel, backward};
    return run(c->pack_backward, there, 2, "kernel layout");
}

msfl_status nn_conv_unpack_gradient(const nn_conv *c, const float *gradient, float *kernel) {
    operand back[2] = {{DNNL_ARG_FROM, &c->gradient, gradient}, {DNNL_ARG_TO, &c->hwio, kernel}};
    return run(c->unpack, back, 2, "gradient layout");
}

static int add_scratchpad(operand *operands, int n, const_dnnl_primitive_desc_t pd, void *scratchpad) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    if (md == NULL || md->ndims == 0) return n;
    operands[n] = (operand){DNNL_ARG_SCRATCHPAD, md, scratchpad};
    return n + 1;
}

msfl_status nn_conv_forward(const nn_conv *c, const float *x, const float *packed, const float *bias, float *y,
                            void *scratchpad) {
    operand o[OPERANDS_MAX] = {{DNNL_ARG_SRC, &c->image_in, x},
                               {DNNL_ARG_WEIGHTS, &c->forward_kernel, packed},
                               {DNNL_ARG_DST, &c->image_out, y}};
    int n = 3;
    if (c->shape.bias) o[n++] = (operand){DNNL_ARG_BIAS, &c->bias, bias};
    return run(c->forward, o, add_scratchpad(o, n, c->forward_pd, scratchpad), "convolution");
}

msfl_status nn_conv_backward_kernel(const nn_conv *c, const float *x, const float *dy, float *gradient,
                                    float *bias_gradient, void *scratchpad) {
    operand o[OPERANDS_MAX] = {{DNNL_ARG_SRC, &c->image_in, x},
                               {DNNL_ARG_DIFF_DST, &c->image_out, dy},
                               {DNNL_ARG_DIFF_WEIGHTS, &c->gradient, gradient}};
    int n = 3;
    if (c->shape.bias) o[n++] = (operand){DNNL_ARG_DIFF_BIAS, &c->bias, bias_gradient};
    return run(c->kernel, o, add_scratchpad(o, n, c->kernel_pd, scratchpad), "kernel gradient");
}

msfl_status nn_conv_backward_input(const nn_conv *c, const float *dy, const float *packed, float *dx,
                                   void *scratchpad) {
    operand o[OPERANDS_MAX] = {{DNNL_ARG_DIFF_DST, &c->image_out, dy},
                               {DNNL_ARG_WEIGHTS, &c->backward_kernel, packed},
                               {DNNL_ARG_DIFF_SRC, &c->image_in, dx}};
    return run(c->input, o, add_scratchpad(o, 3, c->input_pd, scratchpad), "input gradient");
}

msfl_status nn_matmul(bool transpose_a, bool transpose_b, uint32_t m, uint32_t n, uint32_t k, const float *a,
                      const float *b, float beta, float *c) {
    dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                                      transpose_a ? m : k, b, transpose_b ? k : n, beta, c, n);
    return fail(status, "matrix product");
}
