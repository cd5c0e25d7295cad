/* What one convolution costs: forward, gradient of the kernel, gradient of the input, in milliseconds of processor time
 * on one thread, pictures and volumes, as src/nn/dnnl.c runs them; and a matrix product, as a measure of what the core
 * can do.
 *
 *     msfl-bench-conv [DEPTH HEIGHT WIDTH CHANNELS FILTERS KERNEL]     DEPTH 0: a picture
 */
#include "base/mem.h"
#include "nn/dnnl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 30 };

typedef struct job {
    const nn_conv *conv;
    float *x, *y, *dx, *forward, *backward, *gradient, *bias;
    void *scratchpad;
} job;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *filled(size_t n) {
    float *values = msfl_alloc(n + 1, sizeof *values);
    if (values == NULL) exit(1);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(i * 7919 % 1000) / 1000.0f - 0.5f;
    return values;
}

static msfl_status turn(const job *j, int which) {
    if (which == 0) return nn_conv_forward(j->conv, j->x, j->forward, NULL, j->y, j->scratchpad);
    if (which == 1) return nn_conv_backward_kernel(j->conv, j->x, j->y, j->gradient, NULL, j->scratchpad);
    return nn_conv_backward_input(j->conv, j->y, j->backward, j->dx, j->scratchpad);
}

static int measure(const uint32_t v[6]) {
    const uint32_t pad = v[5] / 2, depth = v[0] == 0 ? 1 : v[0];
    const nn_conv_shape s = {.n = 1,
                             .id = depth,
                             .ih = v[1],
                             .iw = v[2],
                             .ic = v[3],
                             .od = depth,
                             .oh = v[1],
                             .ow = v[2],
                             .oc = v[4],
                             .kd = v[0] == 0 ? 0 : v[5],
                             .kh = v[5],
                             .kw = v[5],
                             .sd = 1,
                             .sh = 1,
                             .sw = 1,
                             .pf = pad,
                             .pt = pad,
                             .pl = pad,
                             .pk = pad,
                             .pb = pad,
                             .pr = pad,
                             .input_gradient = true};
    const size_t voxels = (size_t)depth * v[1] * v[2], window = (size_t)(v[0] == 0 ? 1 : v[5]) * v[5] * v[5];
    nn_conv *conv;
    if (nn_conv_new(&s, &conv) != MSFL_OK) return 1;
    job j = {.conv = conv, .x = filled(voxels * v[3]), .y = filled(voxels * v[4]), .dx = filled(voxels * v[3])};
    j.forward = filled(nn_conv_forward_floats(conv));
    j.backward = filled(nn_conv_backward_floats(conv));
    j.gradient = filled(nn_conv_gradient_floats(conv));
    j.scratchpad = filled(nn_conv_scratchpad_bytes(conv) / sizeof(float));
    double best[3], flops = 2.0 * (double)voxels * (double)window * v[3] * v[4];
    for (int which = 0; which < 3; which++) {
        best[which] = 1e9;
        for (int i = 0; i < TURNS; i++) {
            double begun = now();
            if (turn(&j, which) != MSFL_OK) return 1;
            double took = now() - begun;
            if (took < best[which]) best[which] = took;
        }
    }
    char how[200], shape[40];
    nn_conv_describe(conv, how, sizeof how);
    snprintf(shape, sizeof shape, "%ux%ux%u %u->%u k%u", v[0], v[1], v[2], v[3], v[4], v[5]);
    printf("%-26s", shape + (v[0] == 0 ? 2 : 0));
    for (int which = 0; which < 3; which++)
        printf("%9.2f ms%6.0f GF/s", 1e3 * best[which], flops / best[which] * 1e-9);
    printf("   %s\n", how);
    float *const all[] = {j.x, j.y, j.dx, j.forward, j.backward, j.gradient, j.scratchpad};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        msfl_free(all[i]);
    nn_conv_free(conv);
    return 0;
}

static int product(void) {
    enum { N = 768 };
    float *a = filled((size_t)N * N), *b = filled((size_t)N * N), *c = filled((size_t)N * N);
    double best = 1e9;
    for (int i = 0; i < TURNS; i++) {
        double begun = now();
        if (nn_matmul(false, false, N, N, N, a, b, 0.0f, c) != MSFL_OK) return 1;
        double took = now() - begun;
        if (took < best) best = took;
    }
    printf("%-26s%9.2f ms%6.0f GF/s\n", "matrix product of 768", 1e3 * best, 2.0 * N * N * N / best * 1e-9);
    msfl_free(a);
    msfl_free(b);
    msfl_free(c);
    return 0;
}

int main(int argc, char **argv) {
    static const uint32_t usual[][6] = {{48, 64, 48, 1, 8, 3},   {48, 64, 48, 8, 8, 3},    {48, 64, 48, 24, 8, 3},
                                        {48, 64, 48, 16, 16, 3}, {24, 32, 24, 16, 16, 3},  {12, 16, 12, 32, 32, 3},
                                        {6, 8, 6, 64, 64, 3},    {0, 128, 128, 16, 16, 3}, {0, 64, 64, 32, 32, 3}};
    nn_single before = nn_single_enter();
    int failed = 0;
    printf("%-26s%21s%21s%21s\n", "", "forward", "kernel gradient", "input gradient");
    if (argc == 7) {
        uint32_t v[6];
        for (int i = 0; i < 6; i++)
            v[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        failed = measure(v);
    } else {
        for (size_t i = 0; i < sizeof usual / sizeof usual[0] && !failed; i++)
            failed = measure(usual[i]);
        if (!failed) failed = product();
    }
    nn_single_leave(before);
    return failed;
}
