#include "report/html.h"

#include <math.h>
#include <stdio.h>

/* Spaces that keep a number and its unit on one line. */
#define NBSP         "\xc2\xa0"     /* U+00A0 */
#define NARROW_SPACE "\xe2\x80\xaf" /* U+202F */
#define EN_DASH      "–"
#define MINUS        "−"
#define REPLACEMENT  "�" /* U+FFFD */

/* Length of the UTF-8 character at `s` and its code point; 0 when the bytes are none (RFC 3629: no overlong forms, no
 * surrogates, at most U+10FFFF). The closing zero ends every scan, since it is no continuation byte. */
static int decode(const unsigned char *s, uint32_t *code) {
    if (s[0] < 0x80) {
        *code = s[0];
        return 1;
    }
    int length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    uint32_t v = s[0] & (0xffU >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    if (v < least[length] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff) return 0;
    *code = v;
    return length;
}

static bool is_unwanted(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || c == 0x061c ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c & 0xfffe) == 0xfffe;
}

static void put_literal(msfl_buffer *out, const char *text) {
    msfl_put_bytes(out, text, strlen(text));
}

static void escaped(msfl_buffer *out, const char *text, size_t n_max, bool may_break) {
    if (text == NULL) return;
    const unsigned char *s = (const unsigned char *)text;
    for (size_t n = 0; *s != 0; n++) {
        if (n == n_max) {
            put_literal(out, "…");
            return;
        }
        uint32_t code = 0;
        int length = decode(s, &code);
        if (length == 0 || is_unwanted(code)) {
            bool is_blank = length == 1 && (code == '\n' || code == '\t');
            put_literal(out, is_blank ? " " : REPLACEMENT);
        } else if (code == '<') {
            put_literal(out, "&lt;");
        } else if (code == '>') {
            put_literal(out, "&gt;");
        } else if (code == '&') {
            put_literal(out, "&amp;");
        } else if (code == '"') {
            put_literal(out, "&quot;");
        } else if (code == '\'') {
            put_literal(out, "&#39;");
        } else {
            msfl_put_bytes(out, s, (size_t)length);
        }
        if (may_break && length == 1 && strchr("/_.,:=-", (int)code) != NULL) put_literal(out, "<wbr>");
        s += length == 0 ? 1 : length;
    }
}

void msfl_html_text_max(msfl_buffer *out, const char *text, size_t n_max) {
    escaped(out, text, n_max, false);
}

void msfl_html_text(msfl_buffer *out, const char *text) {
    escaped(out, text, 160, false);
}

void msfl_html_long_word(msfl_buffer *out, const char *text, size_t n_max) {
    escaped(out, text, n_max, true);
}

void msfl_html_missing(msfl_buffer *out, const char *what) {
    msfl_put_text(out, "<p class=\"missing\">Not in this result: %s.</p>\n", what);
}

/* printf writes a hyphen for minus; figures look better, and line up, with the real sign. */
static msfl_short with_minus(msfl_short s) {
    if (s.text[0] != '-') return s;
    msfl_short out;
    /* "-0.000" is no number worth a sign. */
    bool is_zero = s.text[strspn(s.text, "-0.")] == 0;
    snprintf(out.text, sizeof out.text, "%s%.40s", is_zero ? "" : MINUS, s.text + 1);
    return out;
}

msfl_short msfl_fixed(double v, int decimals) {
    msfl_short s = {EN_DASH};
    if (!isfinite(v)) return s;
    if (fabs(v) >= 1e15) return msfl_significant(v);
    snprintf(s.text, sizeof s.text, "%.*f", decimals, v);
    return with_minus(s);
}

msfl_short msfl_whole(double v) {
    msfl_short s = {EN_DASH};
    if (!isfinite(v)) return s;
    if (fabs(v) >= 1e15) return msfl_significant(v);
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(v));
    size_t at = 0;
    if (v <= -0.5) at = (size_t)snprintf(s.text, sizeof s.text, "%s", MINUS);
    for (int i = 0; i < n && at + 5 < sizeof s.text; i++) {
        if (i > 0 && (n - i) % 3 == 0 && n > 4) {
            memcpy(s.text + at, NARROW_SPACE, 3);
            at += 3;
        }
        s.text[at++] = digits[i];
    }
    s.text[at] = 0;
    return s;
}

/* Three significant digits without an exponent, for 0 <= v < 1000. */
static int decimals_for_three(double v) {
    return v >= 99.95 || v == 0.0 ? 0 : v >= 9.995 ? 1 : 2;
}

msfl_short msfl_bytes_text(double v) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    msfl_short s = {EN_DASH};
    if (!isfinite(v) || v < 0.0 || v >= 1e18) return s;
    int unit = 0;
    while (v >= 999.5 && unit < 5) {
        v /= 1000.0;
        unit++;
    }
    snprintf(s.text, sizeof s.text, "%.*f" NBSP "%s", unit == 0 ? 0 : decimals_for_three(v), v, units[unit]);
    return s;
}

msfl_short msfl_ms_text(double ms) {
    msfl_short s = {EN_DASH};
    if (!isfinite(ms) || ms < 0.0 || ms >= 1e15) return s;
    if (ms < 999.5) {
        snprintf(s.text, sizeof s.text, "%.*f" NBSP "ms", decimals_for_three(ms), ms);
    } else if (ms < 119500.0) {
        snprintf(s.text, sizeof s.text, "%.*f" NBSP "s", decimals_for_three(ms / 1e3), ms / 1e3);
    } else {
        double seconds = round(ms / 1e3);
        double minutes = floor(seconds / 60.0);
        if (minutes >= 120.0) {
            double hours = floor(minutes / 60.0);
            snprintf(s.text, sizeof s.text, "%.0f" NBSP "h %.0f" NBSP "min", hours, minutes - 60.0 * hours);
        } else {
            snprintf(s.text, sizeof s.text, "%.0f" NBSP "min %.0f" NBSP "s", minutes, seconds - 60.0 * minutes);
        }
    }
    return s;
}

msfl_short msfl_percent(double share, int decimals) {
    msfl_short s = {EN_DASH};
    if (!isfinite(share) || fabs(share) >= 1e9) return s;
    double v = 100.0 * share;
    double least = pow(10.0, -decimals);
    /* A small share is small, not nothing. */
    if (v > 0.0 && v < least / 2.0) {
        snprintf(s.text, sizeof s.text, "&lt;" NARROW_SPACE "%.*f" NBSP "%%", decimals, least);
        return s;
    }
    snprintf(s.text, sizeof s.text, "%.*f" NBSP "%%", decimals, v);
    return with_minus(s);
}

msfl_short msfl_significant(double v) {
    msfl_short s = {EN_DASH};
    if (!isfinite(v)) return s;
    double size = fabs(v);
    if (v == 0.0) {
        snprintf(s.text, sizeof s.text, "0");
    } else if (size >= 1e6 || size < 1e-3) {
        int exponent = (int)floor(log10(size));
        double mantissa = size / pow(10.0, exponent);
        if (mantissa >= 9.995) {
            mantissa /= 10.0;
            exponent++;
        }
        snprintf(s.text, sizeof s.text, "%s%.2f×10<sup>%s%d</sup>", v < 0.0 ? MINUS : "", mantissa,
                 exponent < 0 ? MINUS : "", exponent < 0 ? -exponent : exponent);
    } else {
        snprintf(s.text, sizeof s.text, "%.3g", v);
        return with_minus(s);
    }
    return s;
}
