/* What is encrypted when we measure: tensors with names, and floats for them, for each client its own. */
#ifndef MSFL_MEASURE_SUBJECT_H
#define MSFL_MEASURE_SUBJECT_H

#include "medsecurefl/bench.h"
#include "medsecurefl/update.h"

typedef struct measure_tensor {
    char name[96];
    uint64_t count;
} measure_tensor;

struct msfl_bench_subject {
    char name[128];
    measure_tensor *tensors;
    size_t n_tensors, capacity;
    uint64_t n_values;
    float *weights; /* of a model file; NULL: synthetic */
    float clip;     /* no value of any client is beyond it */
};

/** Append a tensor: "layer/name". */
msfl_status measure_subject_add(msfl_bench_subject *s, uint64_t count, const char *fmt, ...)
    MSFL_PRINTF(3, 4) MSFL_NODISCARD;

/** The tensors of a published network by name; false if there is none of that name. */
bool measure_shapes_known(const char *name);
msfl_status measure_shapes_add(msfl_bench_subject *s, const char *name) MSFL_NODISCARD;
/** "resnet50, bert-base". */
const char *measure_shapes_names(void);

/**
 * Values [first, first + n) of one client's update: around the weights of the file, or around 0, with a deviation of
 * 0.05 in the middle of what clients of one round differ by. The sum of four uniforms: near a normal distribution,
 * bounded, and cheap. Any slicing gives the same floats; another client other floats.
 */
void measure_values(const msfl_bench_subject *s, uint32_t client, uint64_t first, size_t n, float *out);

/** The layout of `count` of its values in one vector, one counter (the sample count) before them. */
msfl_status measure_layout(const msfl_bench_subject *s, uint32_t value_bits, uint64_t count,
                           msfl_update_layout **out) MSFL_NODISCARD;

/** Samples of every client: the public bound, so that every weight is 1 and the mean is that of the floats. */
enum { MEASURE_SAMPLES = 1000 };

#endif
