/* Grades a loan by what is left of a month's income after all instalments. Reads the figures that intake wrote: one flat
 * JSON object of numbers. cc -O2 -o risk risk.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[65536];

/* The number behind "name":, or exit with a message on stderr. */
static double figure(const char *name)
{
	char key[64];
	const char *at;
	char *end;
	double value;

	snprintf(key, sizeof(key), "\"%s\"", name);
	at = strstr(text, key);
	if (at != NULL)
		at = strchr(at + strlen(key), ':');
	value = at == NULL ? 0 : strtod(at + 1, &end);
	if (at == NULL || end == at + 1) {
		fprintf(stderr, "no figure \"%s\"\n", name);
		exit(1);
	}
	return value;
}

int main(void)
{
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);
	double income, debt, amount, months, share;
	const char *grade;

	text[n] = '\0';
	income = figure("monthly_income");
	debt = figure("monthly_debt");
	amount = figure("amount");
	months = figure("months");
	share = income <= 0 ? 1 : (debt + amount / months) / income;
	grade = share < 0.25 ? "low" : share < 0.45 ? "refer" : "high";
	fprintf(stderr, "instalments take %.0f %% of the income\n", share * 100);
	printf("{\"grade\":\"%s\",\"limit\":%.0f}\n", grade, share < 0.45 ? (0.25 * income - debt) * months * 0.25 + amount * 0.5 : 0);
	return 0;
}
