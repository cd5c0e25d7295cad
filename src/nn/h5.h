/* Shim for HDF5: files in memory, written from a list and read into one, always in a child process.
 *
 * This process itself never calls the HDF5 library, neither to read (damaged files crash it) nor to write (so that its
 * state, which children inherit, is always that of a library not yet used).
 */
#ifndef MSFL_NN_H5_H
#define MSFL_NN_H5_H

#include "base/child.h"
#include "medsecurefl/model.h"

/** What a file is made of, in this order: a group before what is in it. */
typedef enum nn_h5_kind {
    NN_H5_GROUP, /**< a group called `path` */
    NN_H5_TEXT,  /**< attribute `name` of the object `path`: one text */
    NN_H5_TEXTS, /**< the same: `n` texts */
    NN_H5_FLOATS /**< a data set called `path` */
} nn_h5_kind;

typedef struct nn_h5_node {
    nn_h5_kind kind;
    char *path, *name;
    char **texts;
    size_t n;
    uint32_t rank, shape[MSFL_TENSOR_RANK_MAX];
    const float *values; /* borrowed */
} nn_h5_node;

/** The bytes of a file; `*bytes` is freed with msfl_free. */
msfl_status nn_h5_write(const nn_h5_node *nodes, size_t n_nodes, uint8_t **bytes, size_t *length) MSFL_NODISCARD;

enum {
    NN_H5_TEXT_MAX = 1 << 17, /* bytes of one attribute */
    NN_H5_LAYERS_MAX = 1024,  /* groups of a file */
    NN_H5_NAME_MAX = 256      /* bytes of a name with its closing zero */
};

/** A text attribute of the root: absent, or `n` texts. */
typedef struct nn_h5_texts {
    bool present;
    uint32_t n;
    char **texts;
} nn_h5_texts;

typedef struct nn_h5_weight {
    char layer[NN_H5_NAME_MAX]; /**< group */
    char name[NN_H5_NAME_MAX];  /**< as in weight_names: "conv1/kernel:0" */
    uint32_t rank, shape[MSFL_TENSOR_RANK_MAX];
    uint64_t count;
} nn_h5_weight;

/** A Keras file that is being read: what is in it, and a child that waits to hand over the values. */
typedef struct nn_h5_file {
    msfl_child child;
    nn_h5_texts description, config, class_names, normalise, recipe, recipe_name;
    uint32_t n_weights;
    nn_h5_weight *weights;
    uint32_t next; /* weight whose values come next */
} nn_h5_file;

/** Open from memory, which must stay until nn_h5_close. Everything in `out` is bounded and checked. */
msfl_status nn_h5_open(const uint8_t *bytes, size_t length, nn_h5_file *out) MSFL_NODISCARD;
/** What the child in `file` sends, up to the values; for tests, which put words into its mouth. On failure nn_h5_close
 *  frees what came. */
msfl_status nn_h5_receive(nn_h5_file *file) MSFL_NODISCARD;
/** Values of the next weight, in the order of `weights`: `count` floats. */
msfl_status nn_h5_values(nn_h5_file *file, float *values) MSFL_NODISCARD;
void nn_h5_close(nn_h5_file *file);

#endif
