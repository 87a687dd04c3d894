"""Layer tables from models of other programs: what Scripts/import-dnn is made of."""
