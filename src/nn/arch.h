/* An architecture: layers, each reading what one or two before it make, with every shape resolved, and the tensors they
 * own in the weight vector. */
#ifndef MSFL_NN_ARCH_H
#define MSFL_NN_ARCH_H

#include "medsecurefl/model.h"

/* Bounds on a description. They keep every product below in 64 bits and every loop short. */
enum {
    NN_LAYERS_MAX = 200,    /* model_config must fit an HDF5 attribute (64 KiB) */
    NN_NAME_BYTES = 48,     /* with the closing zero */
    NN_SIDE_MAX = 4096,     /* pixels */
    NN_CHANNELS_MAX = 8192, /* channels of an image or filters of a convolution */
    NN_UNITS_MAX = 1 << 20, /* of a dense layer, and length of a flat vector */
    NN_CLASSES_MAX = 1024,
    NN_WINDOW_MAX = 31,                 /* side of a kernel or pool, and stride */
    NN_ACTIVATION_VALUES_MAX = 1 << 28, /* values of one layer's output for one image */
    NN_TARGETS_MAX = 1 << 24,           /* pixels of an image that get classes */
    NN_YAML_BYTES_MAX = 60000
};

typedef enum nn_kind {
    NN_CONV,
    NN_DENSE,
    NN_MAX_POOL,
    NN_AVG_POOL,
    NN_GLOBAL_AVG_POOL,
    NN_BATCH_NORM,
    NN_GROUP_NORM,
    NN_DROPOUT,
    NN_FLATTEN,
    NN_RELU,
    NN_ADD,
    NN_CONCAT,
    NN_UPSAMPLE,
    NN_KINDS
} nn_kind;

/** The word that stands for a layer in a description: "conv", "max_pool", ... */
extern const char *const nn_kind_words[NN_KINDS + 1];

/** In nn_layer.sources: the image itself; nothing. */
enum { NN_IMAGE = -1, NN_NONE = -2 };

/** Of pictures d is 1. */
typedef struct nn_shape {
    uint32_t d, h, w, c;
} nn_shape;

static inline size_t nn_shape_values(nn_shape s) {
    return (size_t)s.d * s.h * s.w * s.c;
}

typedef struct nn_layer {
    nn_kind kind;
    char name[NN_NAME_BYTES];              /* unique; made from the kind and a number when not given */
    char from[NN_NAME_BYTES];              /* whose output it reads; empty: of the layer before it */
    char with[NN_NAME_BYTES];              /* add, concat: the second one */
    uint32_t filters;                      /* conv: output channels, dense: units; 0 = number of classes */
    uint32_t kernel_d, kernel_h, kernel_w; /* conv and pools; upsample: the factors; pictures: kernel_d is 1 */
    uint32_t stride_d, stride_h, stride_w;
    bool same;       /* conv: output ceil(in / stride); else valid */
    bool bias;       /* conv, dense */
    bool relu;       /* conv, dense, norms, add: applied to what comes out */
    uint32_t groups; /* group_norm */
    double rate;     /* dropout: fraction set to zero */
    double epsilon;  /* norms */
    double momentum; /* batch_norm: moving = momentum moving + (1 - momentum) batch */

    /* Set by nn_arch_resolve. */
    int32_t sources[2]; /* layers whose outputs it reads; NN_IMAGE, NN_NONE */
    nn_shape in, out;   /* in: of the first source */
    bool flat;          /* output is a vector (d = h = w = 1) */
    uint32_t pad_front, pad_top, pad_left, pad_back, pad_bottom, pad_right;
    uint32_t first_tensor, n_tensors;
    uint64_t n_values;
    char text[256];
} nn_layer;

typedef struct nn_arch {
    char name[NN_NAME_BYTES];
    nn_shape input;
    bool is_volume; /* the input has a depth, and windows have one */
    uint32_t n_classes;
    uint32_t n_layers;
    nn_layer layers[NN_LAYERS_MAX];

    /* Set by nn_arch_resolve. */
    bool is_graph;      /* some layer reads another than the one before it */
    bool is_pixelwise;  /* ends in a convolution: a class for every pixel */
    uint32_t n_targets; /* labels of one image: 1, or its pixels */
    uint32_t n_tensors;
    msfl_tensor tensors[MSFL_MODEL_TENSORS_MAX]; /* names point into `layers` */
    uint64_t n_values, n_trainable;
} nn_arch;

/** Read a description. `name` stands in errors. Shapes are not resolved yet; `arch` is then what the text says. */
msfl_status nn_arch_read(const char *name, const char *yaml, size_t length, nn_arch *arch) MSFL_NODISCARD;

/** Replace input and classes by what is asked for where that is not 0. Whether the layers can take it is found out by
 *  nn_arch_resolve. Depth 1 means pictures. ERR_LIMIT if a figure is out of range; ERR_MISMATCH if volumes are asked of
 * a network for pictures, or pictures of one for volumes. */
msfl_status nn_arch_adapt(const char *name, nn_arch *arch, uint32_t depth, uint32_t height, uint32_t width,
                          uint32_t channels, uint32_t n_classes) MSFL_NODISCARD;

/** Names, shapes, tensors. ERR_MISMATCH where layers do not fit each other, ERR_LIMIT above a bound. */
msfl_status nn_arch_resolve(const char *name, nn_arch *arch) MSFL_NODISCARD;

/** The resolved description as canonical YAML; free with msfl_free. */
msfl_status nn_arch_yaml(const nn_arch *arch, char **yaml) MSFL_NODISCARD;

/** The layer that reads what layer `i` makes (the first if there are several); n_layers for the last. */
uint32_t nn_arch_reader(const nn_arch *arch, uint32_t i);

/** Keras JSON of a resolved architecture: Sequential for a chain, Functional for a graph; and back from Sequential (not
 *  yet resolved). */
msfl_status nn_arch_keras(const nn_arch *arch, char **json) MSFL_NODISCARD;
msfl_status nn_arch_from_keras(const char *name, const char *json, size_t length, nn_arch *arch) MSFL_NODISCARD;

/** YAML of a built-in network, or NULL. */
const char *nn_builtin(const char *name);
/** "cnn-small, medsecurefl-2022, ...". */
const char *nn_builtin_names(void);

/** A model from an architecture (moved into it: allocated with msfl_alloc, freed by the model, also on failure). */
msfl_status nn_model_from_arch(const char *name, nn_arch *arch, msfl_model **out) MSFL_NODISCARD;
const nn_arch *nn_model_arch(const msfl_model *model);
/** Another owner: msfl_model_free undoes it. */
msfl_model *nn_model_retain(const msfl_model *model);

#endif
