/* Line charts as inline SVG: colours come from the page's style sheet, so that dark mode and print work. */
#ifndef MSFL_REPORT_SVG_H
#define MSFL_REPORT_SVG_H

#include "base/bytes.h"

typedef struct msfl_point {
    double x, y; /**< y NaN: a gap in the line */
} msfl_point;

typedef struct msfl_series {
    const char *label; /**< stands at the line's right end, or in the key; ours or outside's: it is escaped */
    const char *style; /**< class in the style sheet: "encrypted", "plain", "central", "alone" */
    const msfl_point *points;
    size_t n;
} msfl_series;

/** The space between two lines over the same x; NaN where there is none. */
typedef struct msfl_band {
    const char *label, *style;
    const double *x, *low, *high;
    size_t n;
} msfl_band;

typedef struct msfl_chart {
    const char *title;                 /**< for those who hear the page */
    const char *x_label;               /**< below the axis */
    double x_min, x_max, y_min, y_max; /**< the frame; lines are cut at it */
    bool x_whole;                      /**< ticks at whole numbers only */
    bool diagonal;                     /**< a ROC chart: square, with the line of chance, labels as a key inside */
    double mark_x;                     /**< a fine upright line with `mark_label`; NaN: none */
    const char *mark_label;
    const msfl_band *band; /**< may be NULL */
    const msfl_series *series;
    size_t n_series;
} msfl_chart;

enum { MSFL_CHART_SERIES_MAX = 16 };

/** Round steps (1, 2 or 5 times a power of ten) for about `wanted` ticks over [min, max]; whole ones if asked. */
double msfl_tick_step(double min, double max, int wanted, bool whole);
/** Digits after the point that ticks of this step need. */
int msfl_tick_decimals(double step);

/** `number` makes ids unique in the page. At most MSFL_CHART_SERIES_MAX series are drawn, later ones on top. */
void msfl_svg_chart(msfl_buffer *out, const msfl_chart *chart, unsigned number);

#endif
