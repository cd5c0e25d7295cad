#include "measure/fit.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* A column whose rest, after those before it are taken off, is below this share of it says nothing of its own. */
#define DEPENDENT 1e-9

static msfl_status not_told_apart(size_t n_rows, size_t n_terms) {
    return msfl_fail(MSFL_ERR_NUMERIC,
                     "%zu measured points do not tell %zu terms of cost apart: at least two numbers of clients and two "
                     "sizes are needed",
                     n_rows, n_terms);
}

/** Householder QR of `a` (n_rows x n_terms + 1, the last column is the right side), in place; solves for `c`. */
static bool solve(double *a, size_t n_rows, size_t n_terms, double *c) {
    size_t width = n_terms + 1;
    for (size_t k = 0; k < n_terms; k++) {
        double norm = 0.0;
        for (size_t i = k; i < n_rows; i++)
            norm += a[i * width + k] * a[i * width + k];
        norm = sqrt(norm);
        if (!(norm > DEPENDENT)) return false; /* columns came in with length 1 */
        double alpha = a[k * width + k] > 0.0 ? -norm : norm;
        double head = a[k * width + k] - alpha,
               scale = -1.0 / (alpha * head); /* 2 / |v|^2 for v = column - alpha e_k */
        for (size_t j = k + 1; j < width; j++) {
            double dot = head * a[k * width + j];
            for (size_t i = k + 1; i < n_rows; i++)
                dot += a[i * width + k] * a[i * width + j];
            dot *= scale;
            a[k * width + j] -= dot * head;
            for (size_t i = k + 1; i < n_rows; i++)
                a[i * width + j] -= dot * a[i * width + k];
        }
        a[k * width + k] = alpha;
    }
    for (size_t k = n_terms; k-- > 0;) {
        double rest = a[k * width + n_terms];
        for (size_t j = k + 1; j < n_terms; j++)
            rest -= a[k * width + j] * c[j];
        c[k] = rest / a[k * width + k];
    }
    return true;
}

/** Fit the terms that `used` names; the others get 0. */
static bool fit_used(const double *x, const double *y, size_t n_rows, size_t n_terms, const bool *used, double *a,
                     double *out) {
    double c[MEASURE_TERMS_MAX], length[MEASURE_TERMS_MAX];
    size_t column[MEASURE_TERMS_MAX], n = 0;
    for (size_t k = 0; k < n_terms; k++) {
        out[k] = 0.0;
        if (used[k]) column[n++] = k;
    }
    if (n == 0) return true;
    for (size_t k = 0; k < n; k++) {
        double square = 0.0;
        for (size_t i = 0; i < n_rows; i++) {
            double v = x[i * n_terms + column[k]] / y[i];
            square += v * v;
        }
        length[k] = sqrt(square);
        if (!(length[k] > 0.0) || !isfinite(length[k])) return false;
    }
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < n; k++)
            a[i * (n + 1) + k] = x[i * n_terms + column[k]] / y[i] / length[k];
        a[i * (n + 1) + n] = 1.0;
    }
    if (!solve(a, n_rows, n, c)) return false;
    for (size_t k = 0; k < n; k++)
        out[column[k]] = c[k] / length[k];
    return true;
}

static void judge(const double *x, const double *y, size_t n_rows, size_t n_terms, measure_fit *fit) {
    /* The best constant for relative residuals (c - y) / y is sum(1/y) / sum(1/y^2). */
    double inverse = 0.0, inverse_square = 0.0, rest = 0.0, constant_rest = 0.0;
    for (size_t i = 0; i < n_rows; i++) {
        inverse += 1.0 / y[i];
        inverse_square += 1.0 / (y[i] * y[i]);
    }
    double constant = inverse / inverse_square;
    fit->worst_residual = 0.0;
    for (size_t i = 0; i < n_rows; i++) {
        double fitted = 0.0;
        for (size_t k = 0; k < n_terms; k++)
            fitted += fit->coefficients[k] * x[i * n_terms + k];
        double r = (fitted - y[i]) / y[i], r0 = (constant - y[i]) / y[i];
        rest += r * r;
        constant_rest += r0 * r0;
        if (fabs(r) > fit->worst_residual) fit->worst_residual = fabs(r);
    }
    fit->r_squared = constant_rest > 0.0 ? 1.0 - rest / constant_rest : rest > 0.0 ? 0.0 : 1.0;
}

msfl_status measure_fit_run(const double *x, const double *y, size_t n_rows, size_t n_terms, measure_fit *out) {
    memset(out, 0, sizeof *out);
    if (n_terms < 1 || n_terms > MEASURE_TERMS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a fit of %zu terms; 1 to %d are possible", n_terms, MEASURE_TERMS_MAX);
    }
    for (size_t i = 0; i < n_rows; i++) {
        bool good = isfinite(y[i]) && y[i] > 0.0;
        for (size_t k = 0; k < n_terms; k++)
            good = good && isfinite(x[i * n_terms + k]);
        if (!good) return msfl_fail(MSFL_ERR_USAGE, "point %zu of a fit is not finite, or not positive", i);
    }
    if (n_rows < n_terms) return not_told_apart(n_rows, n_terms);
    double *a = msfl_alloc(n_rows * (n_terms + 1), sizeof *a);
    if (a == NULL) return MSFL_ERR_MEMORY;
    bool used[MEASURE_TERMS_MAX];
    for (size_t k = 0; k < n_terms; k++)
        used[k] = true;
    msfl_status status = MSFL_OK;
    for (;;) {
        if (!fit_used(x, y, n_rows, n_terms, used, a, out->coefficients)) {
            memset(out, 0, sizeof *out);
            status = not_told_apart(n_rows, n_terms);
            break;
        }
        /* By what a term takes away at most, not by its coefficient: terms have different units. */
        size_t worst = n_terms;
        double most = 0.0;
        for (size_t k = 0; k < n_terms; k++) {
            for (size_t i = 0; i < n_rows && out->coefficients[k] < 0.0; i++) {
                double taken = -out->coefficients[k] * fabs(x[i * n_terms + k]) / y[i];
                if (taken <= most) continue;
                most = taken;
                worst = k;
            }
        }
        if (worst == n_terms) break;
        used[worst] = false;
    }
    if (status == MSFL_OK) judge(x, y, n_rows, n_terms, out);
    msfl_free(a);
    return status;
}
