/* What runs in the child: the only code that calls HDF5. See h5.h for the other side.
 *
 * Answers are little records of native integers (both sides are one program):
 *   write:  u64 length, the bytes of the file; length 0: it could not be made
 *   read:   4 x texts { u32 present, u32 n, n x { u32 length, bytes } }
 *           u32 n_weights, n_weights x { text layer, text name, u32 rank, 4 x u32 shape }
 *           then, for each weight in turn, its values as floats
 *   A reader that cannot go on ends; what is missing tells the parent.
 */
#ifndef MSFL_NN_H5_CHILD_H
#define MSFL_NN_H5_CHILD_H

#include "nn/h5.h"

typedef struct nn_h5_write_job {
    const nn_h5_node *nodes;
    size_t n;
} nn_h5_write_job;

typedef struct nn_h5_read_job {
    const uint8_t *bytes;
    size_t length;
    uint64_t values_max; /* of one data set */
} nn_h5_read_job;

void nn_h5_child_write(void *write_job, int out);
void nn_h5_child_read(void *read_job, int out);

#endif
