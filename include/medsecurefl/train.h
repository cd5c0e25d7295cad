/* Training and prediction with a model. Layer: nn.
 *
 * Every batch is cut into a fixed number of shards whose gradients are added in fixed order, so results are
 * bit-identical for one seed whatever the number of threads.
 */
#ifndef MEDSECUREFL_TRAIN_H
#define MEDSECUREFL_TRAIN_H

#include "medsecurefl/model.h"
#include "medsecurefl/observe.h"

MSFL_BEGIN_DECLS

/** Where samples come from: decouples training from how images are kept. `load` is called from several threads. */
typedef struct msfl_samples {
    uint32_t n;
    void *ctx;
    /** Sample i < n as HWC floats of the model's input size, and its class; for a network that gives a class to every
     *  pixel, height x width classes, rows from the top. `augment_seed` 0: as it is. */
    msfl_status (*load)(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label);
    uint32_t n_views; /**< msfl_predict: every sample is judged as it is and n_views - 1 times as augmentation changes
                         it, and the probabilities are averaged (Krizhevsky et al. 2012, section 4.1); up to
                         MSFL_VIEWS_MAX, 0 and 1: as it is. Not with classes per pixel */
} msfl_samples;

enum { MSFL_VIEWS_MAX = 64 };
/** Augmentation seed of a view, the same for all samples, so that what is found of one does not depend on which others
 *  are asked about. Never 0 but for view 0, which is the sample as it is. */
MSFL_API uint64_t msfl_view_seed(uint32_t view);

typedef enum msfl_optimizer { MSFL_SGD, MSFL_ADAM } msfl_optimizer;

typedef struct msfl_train_options {
    msfl_optimizer optimizer;
    float learning_rate;
    float momentum;     /**< SGD: 0 to < 1; Adam: beta1 (default 0.9) */
    float weight_decay; /**< L2 on kernels, decoupled for Adam */
    uint32_t batch;     /**< 1 to 1024; a last smaller batch is used too */
    uint32_t n_epochs;
    uint32_t n_steps;     /**< > 0: at most so many batches of every epoch, drawn afresh each time; 0: all of them */
    uint64_t seed;        /**< shuffling, dropout and augmentation; combined with first_epoch */
    uint64_t first_epoch; /**< epochs this trainer has seen before: makes epochs of a resumed run differ rightly */
    bool augment;         /**< pass non-zero augment seeds to `load` */
    float label_smoothing;
    const float *class_weights; /**< n_classes, or NULL */
    const float *logit_offsets; /**< n_classes, or NULL: added to the logits before the softmax, in training alone: the
                                     logarithms of how frequent classes are here, for logit adjustment (Menon et al.
                                     2021, equation 10). Finite; not with classes per pixel */
    float focal;    /**< focusing parameter of the focal loss (Lin et al. 2017), 0 to 10; 0: cross-entropy. Not with
                         label smoothing, nor with classes per pixel */
    float dice;     /**< classes per pixel: the loss is cross-entropy + dice (1 - soft Dice); 0 to 100, default 1 */
    float proximal; /**< FedProx (Li et al. 2020): mu / 2 |w - w0|^2 is added to the loss, w0 being the weights at the
                         start of the call; 0 to 1000, default 0 */
} msfl_train_options;
/** Adam at 0.001, batches of 32, one epoch. */
MSFL_API msfl_train_options msfl_train_options_default(void);

typedef struct msfl_train_result {
    double loss;        /**< mean over the last epoch */
    uint64_t n_correct; /**< during the last epoch, with the weights of the moment; classes per pixel: the share of
                             right pixels times n_seen, rounded down */
    uint64_t n_seen;    /**< samples of the last epoch */
    uint64_t n_steps;
} msfl_train_result;

typedef struct msfl_trainer msfl_trainer; /**< compiled network, buffers and optimiser state; one thread at a time */

/** `batch`: 1 to 1024 images, ERR_LIMIT otherwise. `n_threads` 0: all cores; the loops also run on a pool shared by all
 * trainers made with `share` (NULL: a pool of its own), so hospitals train side by side without oversubscription. */
MSFL_API MSFL_NODISCARD msfl_status msfl_trainer_new(const msfl_model *model, uint32_t batch, uint32_t n_threads,
                                                     msfl_trainer *share, msfl_trainer **out);
/** Free; NULL is fine. */
MSFL_API void msfl_trainer_free(msfl_trainer *trainer);

/** Threads that it works on. */
MSFL_API uint32_t msfl_trainer_threads(const msfl_trainer *trainer);
/** Bytes that a trainer holds at most while it trains with this optimiser: workspaces (one for each thread; with batch
 *  normalisation one for each shard of a batch), gradients, batches, momenta, packed kernels. It grows with the batch
 * and the size of images, never with their number. */
MSFL_API uint64_t msfl_trainer_bytes(const msfl_trainer *trainer, msfl_optimizer optimizer);

/**
 * Train `weights` (n_values floats) in place. Optimiser state stays in the trainer from call to call.
 * @retval MSFL_ERR_NUMERIC    the loss became NaN or infinite; the message names epoch and step; weights are unusable
 * @retval MSFL_ERR_CANCELLED  the observer asked to stop
 * The observer gets MSFL_EVENT_PROGRESS with `track` and `client` as given here.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_train(msfl_trainer *trainer, const msfl_train_options *options,
                                               const msfl_samples *samples, float *weights,
                                               const msfl_observer *observer, const char *track, int32_t client,
                                               msfl_train_result *result);

/** Class probabilities (n x n_classes, rows sum to 1) for all samples, and the mean cross-entropy (may be NULL), which
 *  with several views is that of the averaged probabilities.
 *  `labels` (n) receives the labels; may be NULL. Where every pixel has a class, there are height x width rows and
 * labels for each sample (`msfl_model_info.n_targets`). ERR_NUMERIC: a weight is not finite. On any error
 * `probabilities` are zeroed or unchanged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_predict(msfl_trainer *trainer, const float *weights,
                                                 const msfl_samples *samples, float *probabilities, uint32_t *labels,
                                                 double *loss);

/**
 * Where in one image (HWC floats of the model's input size) a class was seen, by Grad-CAM (Selvaraju et al. 2017) on
 * the last layer that knows places: `map` gets height x width values from 0 to 1, all 0 where nothing speaks for the
 * class. A picture for people, not a measurement. ERR_UNSUPPORTED for networks without such a layer, with batch
 * normalisation behind it, or with a class per pixel.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_explain(msfl_trainer *trainer, const float *weights, const float *pixels,
                                                 uint32_t class_index, float *map);

/** Optimiser state (momenta, step count) as bytes, for checkpoints. `*bytes` is freed with msfl_bytes_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_trainer_state_save(const msfl_trainer *trainer, uint8_t **bytes,
                                                            size_t *length);
/** The reverse; length 0 starts afresh. ERR_FORMAT or ERR_MISMATCH if the bytes are not a state of this model. */
MSFL_API MSFL_NODISCARD msfl_status msfl_trainer_state_load(msfl_trainer *trainer, const uint8_t *bytes, size_t length);
/** Free; NULL is fine. */
MSFL_API void msfl_bytes_free(uint8_t *bytes);

MSFL_END_DECLS

#endif
