/* Softmax and cross-entropy. */
#ifndef MSFL_NN_LOSS_H
#define MSFL_NN_LOSS_H

#include "medsecurefl/common.h"

typedef struct nn_loss {
    uint32_t n_classes;
    float smoothing;            /**< label smoothing e: target is (1 - e) one-hot + e / n_classes */
    const float *class_weights; /**< n_classes, or NULL: all 1 */
} nn_loss;

/** Weight of a sample of this class in the mean over a batch. */
static inline double nn_loss_weight(const nn_loss *l, uint32_t label) {
    return l->class_weights == NULL ? 1.0 : (double)l->class_weights[label];
}

/**
 * For one sample: its weighted loss, in double; gradient of (scale x loss) by the logits into `gradient` (may be NULL,
 * may be `logits`); probabilities into `probabilities` (may be NULL). `best` gets the most probable class, the first on
 * ties. With class weights w and smoothing e (as in PyTorch):
 *   loss = (1 - e) w_y (-log p_y) + e / C sum_c w_c (-log p_c)
 */
double nn_loss_sample(const nn_loss *l, const float *logits, uint32_t label, double scale, float *gradient,
                      float *probabilities, uint32_t *best);

#endif
