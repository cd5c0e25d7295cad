#include "measure/plot.h"

#include "report/html.h"

#include <math.h>
#include <stdio.h>

/* The report's colours, so that both look like one family; they differ for all common kinds of colour blindness. */
static const char style[] =
    "<style>"
    "svg{--paper:#fff;--ink:#1a1e23;--soft:#5a636e;--rule:#d9dee3;--blue:#0a5ea8;--orange:#a9500a;--teal:#00705a;"
    "color-scheme:light dark;font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans',"
    "'DejaVu Sans',sans-serif;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){svg{--paper:#14171a;--ink:#e6e9ed;--soft:#a2abb5;--rule:#343b43;--blue:#6db4f4;"
    "--orange:#f0a45f;--teal:#4fc9a6}}"
    "text{fill:var(--ink)}.soft{fill:var(--soft)}.small{font-size:11px}.head{font-size:19px;font-weight:650}"
    ".name{font-weight:650}.paper{fill:var(--paper)}.grid{stroke:var(--rule);stroke-width:1;fill:none}"
    ".axis{stroke:var(--soft);stroke-width:1;fill:none}.mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3;"
    "fill:none}"
    ".blue{fill:var(--blue)}.orange{fill:var(--orange)}.teal{fill:var(--teal)}"
    ".ring{stroke:var(--paper);stroke-width:1}"
    "</style>\n";

/* Three significant digits, for 0 < v < 1000. */
static int decimals(double v) {
    return v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
}

static const char *superscript(int digit) {
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    return digits[digit];
}

static void put_power(char *text, size_t size, int exponent) {
    int e = exponent < 0 ? -exponent : exponent;
    snprintf(text, size, "10%s%s%s", exponent < 0 ? "⁻" : "", e >= 10 ? superscript(e / 10 % 10) : "",
             superscript(e % 10));
}

plot_text plot_value(double v, plot_unit unit) {
    static const char *const bytes[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    plot_text t = {"–"};
    if (!isfinite(v) || v < 0.0) return t;
    if (v == 0.0) {
        snprintf(t.text, sizeof t.text, "0");
    } else if (unit == PLOT_SECONDS) {
        if (v < 999.5e-9) {
            snprintf(t.text, sizeof t.text, "%.0f ns", v * 1e9);
        } else if (v < 999.5e-6) {
            snprintf(t.text, sizeof t.text, "%.*f µs", decimals(v * 1e6), v * 1e6);
        } else if (v < 999.5e-3) {
            snprintf(t.text, sizeof t.text, "%.*f ms", decimals(v * 1e3), v * 1e3);
        } else if (v < 600.0) {
            snprintf(t.text, sizeof t.text, "%.*f s", decimals(v), v);
        } else if (v < 7200.0) {
            snprintf(t.text, sizeof t.text, "%.0f min", v / 60.0);
        } else {
            snprintf(t.text, sizeof t.text, "%.3g h", v / 3600.0);
        }
    } else if (unit == PLOT_BYTES) {
        int k = 0;
        for (; v >= 999.5 && k < 5; k++)
            v /= 1000.0;
        snprintf(t.text, sizeof t.text, "%.*f %s", k == 0 ? 0 : decimals(v), v, bytes[k]);
    } else if (v < 1e-3 || v >= 1e4) {
        int exponent = (int)floor(log10(v));
        double mantissa = v / pow(10.0, exponent);
        if (mantissa >= 9.95) {
            mantissa /= 10.0;
            exponent++;
        }
        char power[32];
        put_power(power, sizeof power, exponent);
        snprintf(t.text, sizeof t.text, "%.1f × %s", mantissa, power);
    } else {
        snprintf(t.text, sizeof t.text, "%.3g", v);
    }
    return t;
}

plot_text plot_decade(int exponent, plot_unit unit) {
    static const char *const bytes[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    static const char *const seconds[] = {"ns", "µs", "ms", "s"};
    static const char *const leads[] = {"1", "10", "100"};
    plot_text t;
    if (unit == PLOT_BYTES && exponent >= 0 && exponent < 18) {
        snprintf(t.text, sizeof t.text, "%s %s", leads[exponent % 3], bytes[exponent / 3]);
    } else if (unit == PLOT_SECONDS && exponent >= -9 && exponent < 3) {
        snprintf(t.text, sizeof t.text, "%s %s", leads[(exponent + 9) % 3], seconds[(exponent + 9) / 3]);
    } else {
        put_power(t.text, sizeof t.text, exponent);
    }
    return t;
}

plot_axis plot_axis_of(const double *values, size_t n, double from, double to) {
    plot_axis a = {0, 1, from, to};
    bool has = false;
    double least = 0.0, most = 0.0;
    for (size_t i = 0; i < n; i++) {
        double v = values[i];
        if (!isfinite(v) || !(v > 1e-30) || v > 1e30) continue;
        least = has ? fmin(least, v) : v;
        most = has ? fmax(most, v) : v;
        has = true;
    }
    if (!has) return a;
    a.low = (int)floor(log10(least) - 0.02); /* a dot does not sit on the frame */
    a.high = (int)ceil(log10(most) + 0.02);
    return a;
}

double plot_at(const plot_axis *a, double v) {
    double share = (log10(v) - a->low) / (a->high - a->low);
    return a->from + fmin(fmax(share, 0.0), 1.0) * (a->to - a->from);
}

void plot_begin(msfl_buffer *out, double width, double height, const char *title, const char *below) {
    msfl_put_text(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "
                  "%.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\" aria-labelledby=\"title\">\n<title "
                  "id=\"title\">",
                  width, height, width, height);
    msfl_html_text_max(out, title, 200);
    msfl_put_text(out, "</title>\n");
    msfl_put_bytes(out, style, sizeof style - 1);
    msfl_put_text(out,
                  "<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\"/>\n<text class=\"head\" x=\"24\" y=\"36\">",
                  width, height);
    msfl_html_text_max(out, title, 200);
    msfl_put_text(out, "</text>\n<text class=\"soft\" x=\"24\" y=\"57\">");
    msfl_html_text_max(out, below, 240);
    msfl_put_text(out, "</text>\n");
}

void plot_end(msfl_buffer *out) {
    msfl_put_text(out, "</svg>\n");
}
