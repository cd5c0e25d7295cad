/* Charts as SVG files of their own: logarithmic axes, colours for light and dark, everything from outside escaped. */
#ifndef MSFL_MEASURE_PLOT_H
#define MSFL_MEASURE_PLOT_H

#include "base/bytes.h"

typedef enum plot_unit {
    PLOT_SECONDS, /**< "4.2 µs", "13 ms", "2.1 s", "1.2 h" */
    PLOT_BYTES,   /**< "88.6 kB" */
    PLOT_PLAIN    /**< "2.0e-8" as 2.0 x 10 to the minus 8 */
} plot_unit;

typedef struct plot_text {
    char text[64];
} plot_text;

/** Three digits at most, with a unit; a dash for what is not finite. */
plot_text plot_value(double v, plot_unit unit);
/** A decade: "10 ms", "1 kB", "10⁻⁸". */
plot_text plot_decade(int exponent, plot_unit unit);

/** A logarithmic axis over whole decades. */
typedef struct plot_axis {
    int low, high;   /**< decades: powers of ten */
    double from, to; /**< in units of the view box */
} plot_axis;

/** Decades that hold all of `n` positive finite values (others are passed over), `low` below the smallest; one decade
 *  at least. */
plot_axis plot_axis_of(const double *values, size_t n, double from, double to);
double plot_at(const plot_axis *axis, double v);

/** Everything up to the content: prolog, style sheet, background, title for those who hear it, headline, second line.
 *  Texts are escaped. */
void plot_begin(msfl_buffer *out, double width, double height, const char *title, const char *below);
void plot_end(msfl_buffer *out);

#endif
