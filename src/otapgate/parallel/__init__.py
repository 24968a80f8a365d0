"""Old and new side by side: what is compared, how, and what came of it (CH06-07)."""
