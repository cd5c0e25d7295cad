/* Least squares for cost models: few terms, coefficients that are costs and therefore not negative. */
#ifndef MSFL_MEASURE_FIT_H
#define MSFL_MEASURE_FIT_H

#include "medsecurefl/status.h"

enum { MEASURE_TERMS_MAX = 8 };

typedef struct measure_fit {
    double coefficients[MEASURE_TERMS_MAX];
    double r_squared;      /**< 1 - sum of squared relative residuals / the same for the best constant */
    double worst_residual; /**< largest |fitted - y| / y */
} measure_fit;

/**
 * Coefficients c >= 0 with y = sum c_k x_k, least squares of the *relative* residuals (fitted - y) / y, so that a round
 * of milliseconds counts as much as one of minutes. Householder QR on columns scaled to length 1; of the coefficients
 * that come out negative the most negative is set to zero and the rest fitted again, until none is.
 *
 * `x` holds n_rows x n_terms numbers, row by row; y > 0.
 * @retval MSFL_ERR_USAGE    no terms or more than MEASURE_TERMS_MAX; numbers that are not finite; y not positive
 * @retval MSFL_ERR_NUMERIC  the points do not tell the terms apart: fewer points than terms, or columns that depend on
 *                           each other
 */
msfl_status measure_fit_run(const double *x, const double *y, size_t n_rows, size_t n_terms,
                            measure_fit *out) MSFL_NODISCARD;

#endif
