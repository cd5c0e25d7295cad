#include "report/svg.h"

#include "report/html.h"

#include <math.h>

/* Units of the view box. They are about CSS pixels on a large screen, and shrink to 0.8 on a phone. */
enum {
    WIDTH = 440,
    HEIGHT = 290,
    LEFT = 44,
    RIGHT = 84,
    TOP = 24,
    BOTTOM = 42,
    POINTS_MAX = 500,
    LABEL_STEP = 15,
    TICKS_MAX = 20
};

typedef struct frame {
    const msfl_chart *chart;
    double left, right, top, bottom; /* of the plot, in units */
} frame;

double msfl_tick_step(double min, double max, int wanted, bool whole) {
    double rough = (max - min) / wanted;
    if (!(rough > 0.0) || !isfinite(rough)) return 1.0;
    double power = pow(10.0, floor(log10(rough)));
    double digit = rough / power;
    double step = (digit <= 1.0001 ? 1.0 : digit <= 2.0001 ? 2.0 : digit <= 5.0001 ? 5.0 : 10.0) * power;
    return whole && step < 1.0 ? 1.0 : step;
}

int msfl_tick_decimals(double step) {
    int decimals = 0;
    while (decimals < 9 && fabs(step - round(step)) > 1e-6 * step) {
        step *= 10.0;
        decimals++;
    }
    return decimals;
}

static double at_x(const frame *f, double x) {
    return f->left + (x - f->chart->x_min) / (f->chart->x_max - f->chart->x_min) * (f->right - f->left);
}

static double at_y(const frame *f, double y) {
    return f->bottom - (y - f->chart->y_min) / (f->chart->y_max - f->chart->y_min) * (f->bottom - f->top);
}

/* Far outside the frame is as good as just outside, and keeps the numbers short. */
static double near_y(const frame *f, double y) {
    return fmin(fmax(at_y(f, y), f->top - 1000.0), f->bottom + 1000.0);
}

static void draw_axes(msfl_buffer *out, const frame *f) {
    const msfl_chart *c = f->chart;
    double step = msfl_tick_step(c->y_min, c->y_max, 5, false);
    int decimals = msfl_tick_decimals(step);
    msfl_put_text(out, "<g class=\"grid\">");
    double first = ceil(c->y_min / step - 1e-6);
    for (int i = 0; i < TICKS_MAX && (first + i) * step <= c->y_max + 1e-6 * step; i++) {
        double value = (first + i) * step, y = at_y(f, value);
        msfl_put_text(out,
                      "<path d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" dy=\".35em\">%s"
                      "</text>",
                      f->left, y, f->right, f->left - 7, y, msfl_fixed(value, decimals).text);
    }
    msfl_put_text(out, "</g><g class=\"axis\"><path d=\"M%.1f %.1fH%.1f\"/>", f->left, f->bottom, f->right);
    step = msfl_tick_step(c->x_min, c->x_max, c->x_whole ? 7 : 5, c->x_whole);
    decimals = msfl_tick_decimals(step);
    first = ceil(c->x_min / step - 1e-6);
    for (int i = 0; i < TICKS_MAX && (first + i) * step <= c->x_max + 1e-6 * step; i++) {
        double value = (first + i) * step, x = at_x(f, value);
        msfl_put_text(out, "<path d=\"M%.1f %.1fv4\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", x,
                      f->bottom, x, f->bottom + 18, msfl_fixed(value, decimals).text);
    }
    msfl_put_text(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (f->left + f->right) / 2,
                  f->bottom + 36);
    msfl_html_text(out, c->x_label);
    msfl_put_text(out, "</text></g>\n");
}

static void draw_mark(msfl_buffer *out, const frame *f) {
    const msfl_chart *c = f->chart;
    if (!(c->mark_x >= c->x_min && c->mark_x <= c->x_max)) return;
    double x = at_x(f, c->mark_x);
    msfl_put_text(out,
                  "<g class=\"mark\"><path d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                  x, f->top - 4, f->bottom, x, f->top - 9);
    msfl_html_text(out, c->mark_label);
    msfl_put_text(out, "</text></g>\n");
}

static void draw_band(msfl_buffer *out, const frame *f) {
    const msfl_band *b = f->chart->band;
    if (b == NULL || b->n == 0) return;
    size_t every = b->n / POINTS_MAX + 1;
    /* Along the upper edge and back along the lower. A round without values is skipped. */
    msfl_put_text(out, "<path class=\"band %s\" d=\"", b->style);
    char letter = 'M';
    for (size_t i = 0; i < b->n; i += every) {
        if (isnan(b->high[i]) || isnan(b->low[i])) continue;
        msfl_put_text(out, "%c%.1f %.1f", letter, at_x(f, b->x[i]), near_y(f, b->high[i]));
        letter = 'L';
    }
    for (size_t i = (b->n - 1) / every * every + every; i > 0; i -= every) {
        size_t k = i - every;
        if (isnan(b->high[k]) || isnan(b->low[k])) continue;
        msfl_put_text(out, "%c%.1f %.1f", letter, at_x(f, b->x[k]), near_y(f, b->low[k]));
    }
    msfl_put_text(out, "%s\"/>\n", letter == 'M' ? "" : "Z");
}

static void draw_line(msfl_buffer *out, const frame *f, const msfl_series *s) {
    size_t every = s->n / POINTS_MAX + 1;
    msfl_put_text(out, "<path class=\"line %s\" d=\"", s->style);
    bool pen_down = false;
    for (size_t i = 0; i < s->n; i++) {
        if (i % every != 0 && i + 1 != s->n) continue;
        bool is_gap = isnan(s->points[i].x) || isnan(s->points[i].y);
        if (!is_gap) {
            msfl_put_text(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', at_x(f, s->points[i].x), near_y(f, s->points[i].y));
        }
        pen_down = !is_gap;
    }
    msfl_put_text(out, "\"/>");
    if (s->n <= 40 && !f->chart->diagonal) {
        for (size_t i = 0; i < s->n; i++) {
            if (isnan(s->points[i].x) || isnan(s->points[i].y)) continue;
            msfl_put_text(out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", s->style,
                          at_x(f, s->points[i].x), near_y(f, s->points[i].y));
        }
    }
    msfl_put_text(out, "\n");
}

typedef struct end_label {
    const char *label, *style;
    double y;
} end_label;

/* Labels at the right end, in the lines' order from top to bottom, pushed apart where lines end close together. */
static void draw_end_labels(msfl_buffer *out, const frame *f) {
    const msfl_chart *c = f->chart;
    end_label labels[MSFL_CHART_SERIES_MAX + 1];
    size_t n = 0;
    for (size_t k = 0; k < c->n_series && k < MSFL_CHART_SERIES_MAX; k++) {
        const msfl_series *s = &c->series[k];
        size_t last = s->n;
        while (last > 0 && isnan(s->points[last - 1].y))
            last--;
        if (last == 0 || s->label == NULL) continue;
        labels[n++] = (end_label){s->label, s->style, at_y(f, s->points[last - 1].y)};
    }
    if (c->band != NULL && c->band->n > 0 && c->band->label != NULL) {
        double low = c->band->low[c->band->n - 1], high = c->band->high[c->band->n - 1];
        if (!isnan(low) && !isnan(high)) {
            labels[n++] = (end_label){c->band->label, c->band->style, at_y(f, (low + high) / 2.0)};
        }
    }
    for (size_t i = 0; i < n; i++)
        labels[i].y = fmin(fmax(labels[i].y, f->top), f->bottom);
    for (size_t i = 1; i < n; i++) { /* few: insertion sort */
        end_label moving = labels[i];
        size_t k = i;
        for (; k > 0 && labels[k - 1].y > moving.y; k--)
            labels[k] = labels[k - 1];
        labels[k] = moving;
    }
    for (size_t i = 1; i < n; i++)
        labels[i].y = fmax(labels[i].y, labels[i - 1].y + LABEL_STEP);
    double limit = f->bottom;
    for (size_t i = n; i > 0; i--) {
        labels[i - 1].y = fmin(labels[i - 1].y, limit);
        limit = labels[i - 1].y - LABEL_STEP;
    }
    for (size_t i = 0; i < n; i++) {
        msfl_put_text(out, "<text class=\"label %s\" x=\"%.1f\" y=\"%.1f\" dy=\".35em\">", labels[i].style,
                      f->right + 8, labels[i].y);
        msfl_html_text_max(out, labels[i].label, 14);
        msfl_put_text(out, "</text>");
    }
    msfl_put_text(out, "\n");
}

/* A ROC curve leaves the lower right corner free, and all curves end in the same point: a key goes there. */
static void draw_key(msfl_buffer *out, const frame *f) {
    const msfl_chart *c = f->chart;
    size_t n = c->n_series < MSFL_CHART_SERIES_MAX ? c->n_series : MSFL_CHART_SERIES_MAX;
    double x = f->left + 0.42 * (f->right - f->left);
    double y = f->bottom - 14 - 18.0 * (double)(n - 1);
    for (size_t k = 0; k < n; k++, y += 18) {
        const msfl_series *s = &c->series[k];
        msfl_put_text(out,
                      "<path class=\"line %s\" d=\"M%.1f %.1fh26\"/><text class=\"label %s\" x=\"%.1f\" y=\"%.1f\" "
                      "dy=\".35em\">",
                      s->style, x, y, s->style, x + 34, y);
        msfl_html_text_max(out, s->label, 30);
        msfl_put_text(out, "</text>");
    }
    msfl_put_text(out, "\n");
}

void msfl_svg_chart(msfl_buffer *out, const msfl_chart *chart, unsigned number) {
    bool is_single = true; /* one round: dots are all there is */
    for (size_t k = 0; k < chart->n_series; k++)
        is_single = is_single && chart->series[k].n == 1;
    int width = chart->diagonal ? 360 : WIDTH, height = chart->diagonal ? 350 : HEIGHT;
    frame f = {chart, LEFT, width - (chart->diagonal ? 14 : RIGHT), TOP, height - BOTTOM};
    msfl_put_text(out,
                  "<svg class=\"chart%s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"chart%u\"><title "
                  "id=\"chart%u\">",
                  chart->diagonal ? " square"
                  : is_single     ? " single"
                                  : "",
                  width, height, number, number);
    msfl_html_text_max(out, chart->title, 400);
    msfl_put_text(out, "</title>\n");
    if (!(chart->x_max > chart->x_min) || !(chart->y_max > chart->y_min)) {
        msfl_put_text(out, "</svg>\n");
        return;
    }
    draw_axes(out, &f);
    msfl_put_text(out,
                  "<clipPath id=\"frame%u\"><path d=\"M%.1f %.1fH%.1fV%.1fH%.1fZ\"/></clipPath><g "
                  "clip-path=\"url(#frame%u)\">\n",
                  number, f.left - 4, f.top - 4, f.right + 4, f.bottom + 3, f.left - 4, number);
    draw_band(out, &f);
    if (chart->diagonal) {
        msfl_put_text(out, "<path class=\"chance\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", f.left, f.bottom, f.right, f.top);
    }
    for (size_t k = 0; k < chart->n_series && k < MSFL_CHART_SERIES_MAX; k++)
        draw_line(out, &f, &chart->series[k]);
    msfl_put_text(out, "</g>\n");
    draw_mark(out, &f);
    if (chart->diagonal)
        draw_key(out, &f);
    else
        draw_end_labels(out, &f);
    msfl_put_text(out, "</svg>\n");
}
