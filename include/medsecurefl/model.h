/* Networks: their description, their weights as one vector, and their files. Layer: nn. */
#ifndef MEDSECUREFL_MODEL_H
#define MEDSECUREFL_MODEL_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

typedef struct msfl_model msfl_model; /**< an architecture with all shapes resolved; immutable */

enum { MSFL_TENSOR_RANK_MAX = 5, MSFL_MODEL_TENSORS_MAX = 1024, MSFL_MODEL_VALUES_MAX = 1 << 28 };

/**
 * A network by name ("cnn-small", "resnet8", "resnet18", "unet2d", "unet3d", "medsecurefl-2022") or from a YAML file
 * (docs/formats/model.md), for images of this size and number of classes; 0 keeps what the description says, and a
 * conflict is ERR_MISMATCH. A network for volumes keeps its depth.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_model_new(const char *name_or_path, uint32_t height, uint32_t width,
                                                   uint32_t channels, uint32_t n_classes, msfl_model **out);
/** The same for volumes of `depth` slices: 0 keeps the depth, 1 means pictures, more than 1 volumes; ERR_MISMATCH where
 *  the network is for the other kind. */
MSFL_API MSFL_NODISCARD msfl_status msfl_model_new_volume(const char *name_or_path, uint32_t depth, uint32_t height,
                                                          uint32_t width, uint32_t channels, uint32_t n_classes,
                                                          msfl_model **out);
/** The same from YAML text already in memory; `name` stands in errors. */
MSFL_API MSFL_NODISCARD msfl_status msfl_model_parse(const char *name, const char *yaml, size_t length, uint32_t height,
                                                     uint32_t width, uint32_t channels, uint32_t n_classes,
                                                     msfl_model **out);
/** Free; NULL is fine. */
MSFL_API void msfl_model_free(msfl_model *model);

typedef enum msfl_tensor_role {
    MSFL_TENSOR_WEIGHT,   /**< trained by gradient */
    MSFL_TENSOR_STATISTIC /**< moving mean or variance of batch normalisation: averaged, not trained */
} msfl_tensor_role;

typedef struct msfl_tensor {
    const char *layer; /**< "conv1" */
    const char *name;  /**< Keras name: "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance" */
    msfl_tensor_role role;
    /** Keras order: convolution kernels HWIO, of volumes DHWIO, dense kernels in x out. */
    uint32_t rank, shape[MSFL_TENSOR_RANK_MAX];
    uint64_t offset, count; /**< position in the weight vector, in floats */
} msfl_tensor;

typedef struct msfl_model_info {
    const char *name;
    uint32_t depth;                              /**< slices of a volume; of pictures 1 */
    uint32_t height, width, channels, n_classes; /**< resolved input and output */
    uint32_t n_layers, n_tensors;
    uint64_t n_values; /**< floats in the weight vector: trainable and statistics */
    uint64_t n_trainable;
    bool is_pixelwise;  /**< a class for every pixel, not for the whole image */
    bool is_volume;     /**< images are volumes: depth x height x width x channels */
    uint32_t n_targets; /**< classes that are given to one image: 1, or depth x height x width */
} msfl_model_info;
/** Shapes and counts; lives as long as the model. */
MSFL_API const msfl_model_info *msfl_model_info_borrow(const msfl_model *model);
/** Tensor `i` below n_tensors, in the order of the weight vector; lives as long as the model. */
MSFL_API const msfl_tensor *msfl_model_tensor(const msfl_model *model, uint32_t i);
/** Canonical YAML of the resolved description; parses back to the same model. Lives as long as the model. */
MSFL_API const char *msfl_model_yaml(const msfl_model *model);
/** A line for people: "conv 3x3x8 -> 64x64x8, 80 values" for layer i < n_layers. Lives as long as the model. */
MSFL_API const char *msfl_model_layer_text(const msfl_model *model, uint32_t i);
/** Hash of the canonical description: the architecture, not the weights. */
MSFL_API void msfl_model_hash(const msfl_model *model, uint8_t out[MSFL_HASH_BYTES]);

/** Initial weights (He for ReLU convolutions, Glorot for the rest; zeros and ones for norms), `n_values` floats. */
MSFL_API void msfl_model_init(const msfl_model *model, uint64_t seed, float *weights);

/** What a model file says besides the network and its weights; all may be NULL. Borrowed. */
typedef struct msfl_model_facts {
    const char *const *class_names; /**< n_classes */
    const char *normalise;          /**< "image", "set", "none" */
    const char *recipe;             /**< hash of the recipe that its pictures were made by, 64 hexadecimal digits */
    const char *recipe_name;        /**< what that is called: UTF-8, without control characters, less than 64 bytes */
} msfl_model_facts;

/**
 * Write a Keras-layout HDF5 file: root attributes keras_version, backend, model_config (Keras Sequential JSON),
 * medsecurefl_model (our YAML), group model_weights... as Keras 2 `model.save` writes them. Reproducible bytes.
 * `facts` are kept as attributes (docs/formats/model-h5.md); NULL: none. ERR_NUMERIC: a weight is not finite; nothing
 * is written then.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_model_save(const char *path, const msfl_model *model, const float *weights,
                                                    const msfl_model_facts *facts);

/** Extra facts kept in a model file. */
typedef struct msfl_model_extra {
    uint32_t n_classes;
    char **class_names; /**< NULL when absent */
    char *normalise;    /**< NULL when absent */
    char *recipe;       /**< 64 lower-case hexadecimal digits; NULL when absent */
    char *recipe_name;  /**< as in msfl_model_facts; NULL when absent */
} msfl_model_extra;
/** Frees the texts and zeroes the struct; one that is zeroed is fine. */
MSFL_API void msfl_model_extra_clear(msfl_model_extra *extra);

/**
 * Read a model file made by msfl_model_save (or by Keras, if its layers are ones we have). The HDF5 library runs in a
 * child process with memory and time limits, so that no file can bring this process down; what comes back is bounded
 * and checked. `*weights` has n_values floats; free with msfl_floats_free. `extra` may be NULL.
 * @retval MSFL_ERR_FORMAT  not HDF5, corrupt, foreign, or with values that are not finite
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_model_load(const char *path, msfl_model **model, float **weights,
                                                    msfl_model_extra *extra);
/** Free; NULL is fine. */
MSFL_API void msfl_floats_free(float *values);

MSFL_END_DECLS

#endif
