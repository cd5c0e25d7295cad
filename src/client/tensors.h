/* Weights as a file for a trainer, and back: NumPy .npz with an array for each tensor, or a Keras-layout .h5. */
#ifndef MSFL_CLIENT_TENSORS_H
#define MSFL_CLIENT_TENSORS_H

#include "client/site.h"
#include "job/spec.h"

/** Name of tensor i < shape->n_tensors: "conv1/kernel", or as the job lists it. `text` holds 200 bytes. */
void client_tensor_name(const job_shape *shape, uint32_t i, char text[200]);

/** Its rank and shape. */
uint32_t client_tensor_dims(const job_shape *shape, uint32_t i, uint64_t dims[JOB_RANK_MAX]);

/** ERR_UNSUPPORTED: HDF5 for a network that is not ours. */
msfl_status client_tensors_write(const char *path, client_format format, const job_shape *shape,
                                 const float *weights) MSFL_NODISCARD;
/**
 * The file that a trainer wrote: a regular file, every tensor of the job with its shape, float32 or float64, all values
 * finite, and nothing else. `weights`: n_values.
 * @retval MSFL_ERR_MISSING, MSFL_ERR_LIMIT (too long), MSFL_ERR_FORMAT, MSFL_ERR_MISMATCH (names, shapes),
 * MSFL_ERR_NUMERIC
 */
msfl_status client_tensors_read(const char *path, client_format format, const job_shape *shape,
                                float *weights) MSFL_NODISCARD;

#endif
