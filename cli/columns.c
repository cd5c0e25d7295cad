#include "columns.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <strings.h>
#include <wchar.h>

static bool names_utf8(const char *text) {
    const char *dot = strchr(text, '.');
    return dot != NULL && (strncasecmp(dot, ".utf-8", 6) == 0 || strncasecmp(dot, ".utf8", 5) == 0);
}

bool cli_locale_is_utf8(void) {
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale != (locale_t)0) {
        bool is_utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
        freelocale(locale);
        return is_utf8;
    }
    /* The locale that is asked for is not installed; what the user wants can still be read from its name. */
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && value[0] != 0) return names_utf8(value);
    }
    return false;
}

/* The character at `s`: its length in bytes, its code point, and whether it may be shown. What is not UTF-8 (RFC 3629)
 * is taken byte by byte. */
typedef struct character {
    int length;
    uint32_t code;
    bool is_fit;
} character;

static character read_character(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) return (character){1, s[0], s[0] >= 0x20 && s[0] != 0x7f};
    character bad = {1, 0xfffd, false};
    if (s[0] < 0xc2 || s[0] > 0xf4) return bad;
    int length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t code = s[0] & (0xffU >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return bad;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[length] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return bad;
    bool is_control = code < 0xa0 || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
                      code == 0x200e || code == 0x200f || code == 0x061c || code == 0xfeff;
    return (character){length, code, !is_control};
}

/* wcwidth answers for the current locale; C.UTF-8 knows all of Unicode and is always there with glibc. */
static locale_t begin_unicode(locale_t *before) {
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (unicode != (locale_t)0) *before = uselocale(unicode);
    return unicode;
}

static void end_unicode(locale_t unicode, locale_t before) {
    if (unicode == (locale_t)0) return;
    uselocale(before);
    freelocale(unicode);
}

static size_t width_of(character c) {
    if (!c.is_fit || c.code < 0x300) return 1;
    int width = wcwidth((wchar_t)c.code);
    return width < 0 ? 1 : (size_t)width;
}

static size_t columns_of(const char *text) {
    size_t columns = 0;
    while (*text != 0) {
        character c = read_character(text);
        columns += width_of(c);
        text += c.length;
    }
    return columns;
}

size_t cli_columns(const char *text) {
    if (text == NULL) return 0;
    locale_t before = (locale_t)0, unicode = begin_unicode(&before);
    size_t columns = columns_of(text);
    end_unicode(unicode, before);
    return columns;
}

static void put_character(msfl_buffer *out, const char *text, character c, bool is_utf8) {
    if (c.is_fit && (is_utf8 || c.code < 0x80)) {
        msfl_put_bytes(out, text, (size_t)c.length);
    } else if (is_utf8) {
        msfl_put_bytes(out, "\xef\xbf\xbd", 3);
    } else {
        msfl_put8(out, '?');
    }
}

size_t cli_put_columns(msfl_buffer *out, const char *text, size_t columns_max, bool is_utf8) {
    if (text == NULL || columns_max == 0) return 0;
    locale_t before = (locale_t)0, unicode = begin_unicode(&before);
    bool is_cut = columns_of(text) > columns_max;
    size_t limit = is_cut ? columns_max - 1 : columns_max, columns = 0;
    while (*text != 0) {
        character c = read_character(text);
        size_t width = width_of(c);
        if (columns + width > limit) break;
        put_character(out, text, c, is_utf8);
        /* Without UTF-8 a wide character is one question mark: fill up to the width that was counted. */
        if (!is_utf8 && width == 2) msfl_put8(out, '?');
        columns += width;
        text += c.length;
    }
    if (is_cut) {
        msfl_put_text(out, "%s", is_utf8 ? "\u2026" : "~");
        columns++;
    }
    end_unicode(unicode, before);
    return columns;
}

void cli_print_safely(FILE *out, const char *text) {
    msfl_buffer clean = {0};
    (void)cli_put_columns(&clean, text, SIZE_MAX, cli_locale_is_utf8());
    if (clean.status == MSFL_OK) fwrite(clean.bytes, 1, clean.length, out);
    msfl_buffer_clear(&clean);
}
