/* Softmax, and what is minimised: cross-entropy, focal loss, Dice. */
#ifndef MSFL_NN_LOSS_H
#define MSFL_NN_LOSS_H

#include "medsecurefl/common.h"

typedef struct nn_loss {
    uint32_t n_classes;
    float smoothing;            /**< label smoothing e: target is (1 - e) one-hot + e / n_classes */
    const float *class_weights; /**< n_classes, or NULL: all 1 */
    float focal;                /**< > 0: focal loss with this focusing parameter, without smoothing */
    float dice;                 /**< nn_loss_pixels: weight of 1 - soft Dice */
    const float *offsets; /**< n_classes, added to the logits before the softmax, or NULL: none; not with pixels */
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
 * Focal loss with parameter g (Lin et al. 2017, equation 5, w for alpha):
 *   loss = w_y (1 - p_y)^g (-log p_y)
 * With offsets o, p is the softmax of logits + o in all of that (Menon et al. 2021, equation 10: o_c = tau log of how
 * frequent c is), while `best` is that of the logits alone, which is what predicts later.
 */
double nn_loss_sample(const nn_loss *l, const float *logits, uint32_t label, double scale, float *gradient,
                      float *probabilities, uint32_t *best);

/**
 * The same for an image whose every pixel has a class: n_pixels x n_classes logits, n_pixels labels.
 *   loss = sum_x w_t(x) (-log p_t(x)) / sum_x w_t(x) + dice (1 - mean over c of (2 I_c + 1) / (S_c + 1))
 *   I_c = sum_x p_c(x) [t(x) = c],   S_c = sum_x p_c(x) + [t(x) = c]
 * The mean is over the classes c > 0 that the image has; without any, the second part is 0. Class 0 is the background.
 * A class that is not there is left to the cross-entropy: were it in the mean, finding nothing anywhere would look good
 * on the many slices that a structure is not in, and training would begin by unlearning it. (Milletari et al. 2016,
 * with first powers.) One image at a time, so that a loss does not depend on what else is in the batch. `gradient` is
 * needed and must not be `logits`. `n_correct` gets the number of pixels whose most probable class is right.
 */
double nn_loss_pixels(const nn_loss *l, const float *logits, const uint32_t *labels, uint32_t n_pixels, double scale,
                      float *gradient, uint32_t *n_correct);

#endif
