/* manpage NAME SUMMARY VERSION <docs/man/NAME.md >medsecurefl-NAME.1: the page that --help prints, in roff. It knows
 * the Markdown that these pages keep to: headings, paragraphs, lists, tables, indented examples, `code` and **bold**.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096 };

typedef enum block { NOTHING, TEXT, EXAMPLE } block;

static bool bold, code; /* spans that are open; they may go on in the next line, and end with the paragraph */

/** Text with roff's own characters escaped. Bold and code are both bold; in code a hyphen is a minus, to be copied. */
static void put_text(const char *text, size_t length) {
    if (length > 0 && (text[0] == '.' || text[0] == '\'')) fputs("\\&", stdout);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '`' || (!code && text[i] == '*' && i + 1 < length && text[i + 1] == '*')) {
            code = text[i] == '`' ? !code : code;
            if (text[i] == '*') {
                bold = !bold;
                i++;
            }
            fputs(bold || code ? "\\fB" : "\\fR", stdout);
        } else if (text[i] == '\\') {
            fputs("\\e", stdout);
        } else if (text[i] == '-' && code) {
            fputs("\\-", stdout);
        } else {
            putchar(text[i]);
        }
    }
    putchar('\n');
}

/** As it stands, in an example. */
static void put_verbatim(const char *text) {
    if (text[0] == '.' || text[0] == '\'') fputs("\\&", stdout);
    for (; *text != 0; text++) {
        if (*text == '\\' || *text == '-') putchar('\\');
        putchar(*text == '\\' ? 'e' : *text);
    }
    putchar('\n');
}

/** | first | second |: the first cell hangs out in front of the second. */
static void put_row(const char *line) {
    const char *first = line + 1 + strspn(line + 1, " "), *bar = strchr(first, '|');
    if (bar == NULL || *first == '|' || line[1] == '-') return; /* heads without words, and the rule below them */
    const char *second = bar + 1 + strspn(bar + 1, " "), *end = strrchr(second, '|');
    fputs(".TP\n.B ", stdout);
    put_text(first, (size_t)(bar - first));
    put_text(second, end == NULL ? strlen(second) : (size_t)(end - second));
}

static void end_example(block *in) {
    if (*in != EXAMPLE) return;
    fputs(".fi\n.RE\n", stdout);
    *in = TEXT;
}

static void put_line(const char *line, block *in, bool after_blank) {
    const size_t digits = strspn(line, "0123456789");
    if (strncmp(line, "    ", 4) == 0 && (after_blank || *in == EXAMPLE)) {
        if (*in != EXAMPLE) fputs(".PP\n.RS 4\n.nf\n", stdout);
        *in = EXAMPLE;
        put_verbatim(line + 4);
        return;
    }
    end_example(in);
    if (strncmp(line, "## ", 3) == 0) {
        printf(".SH %s\n", line + 3);
        *in = NOTHING;
    } else if (line[0] == '|') {
        put_row(line);
    } else if (strncmp(line, "- ", 2) == 0) {
        fputs(".IP \\(bu 3\n", stdout);
        put_text(line + 2, strlen(line + 2));
        *in = TEXT;
    } else if (digits > 0 && strncmp(line + digits, ". ", 2) == 0) {
        printf(".IP %.*s. 4\n", (int)digits, line);
        put_text(line + digits + 2, strlen(line + digits + 2));
        *in = TEXT;
    } else {
        if (after_blank && *in != NOTHING) fputs(".PP\n\\fR", stdout);
        const char *text = line + strspn(line, " ");
        put_text(text, strlen(text));
        *in = TEXT;
    }
}

int main(int argc, char **argv) {
    char line[LINE_MAX_BYTES];
    block in = NOTHING;
    bool blank = false;
    if (argc != 4) return 2;
    printf(".TH MEDSECUREFL-%s 1 \"\" \"medsecurefl %s\" \"\"\n.SH NAME\nmedsecurefl-%s \\- %s\n.SH DESCRIPTION\n",
           argv[1], argv[3], argv[1], argv[2]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "# ", 2) == 0) continue;
        if (line[0] != 0) put_line(line, &in, blank);
        if (line[0] == 0) {
            end_example(&in);
            bold = code = false;
        }
        blank = line[0] == 0;
    }
    end_example(&in);
    return ferror(stdin) != 0 || fflush(stdout) != 0;
}
