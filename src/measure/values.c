/* Synthetic floats: cheap, repeatable, the same for any slicing. Never keys or noise. */
#include "measure/subject.h"

/* splitmix64's finaliser (Steele, Lea and Flood, 2014): consecutive inputs, unrelated outputs. */
static uint64_t mix(uint64_t v) {
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

/* The sum of four uniforms on [0, 1) has deviation 1/sqrt(3) around 2: sixteen bits each, scaled to 0.05. */
#define SCALE (0.05f * 1.7320508f / 65536.0f)

void measure_values(const msfl_bench_subject *s, uint32_t client, uint64_t first, size_t n, float *out) {
    uint64_t stream = mix((uint64_t)client + 1) << 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = mix(stream + (first + i + 1) * 0x9e3779b97f4a7c15u);
        uint32_t sum =
            (uint32_t)(v & 0xffff) + (uint32_t)(v >> 16 & 0xffff) + (uint32_t)(v >> 32 & 0xffff) + (uint32_t)(v >> 48);
        float delta = ((float)sum - 131070.0f) * SCALE;
        out[i] = s->weights == NULL ? delta : s->weights[first + i] + delta;
    }
}
