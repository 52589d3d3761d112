"""Several apps and tenants in one sandbox, and the world of people, departments and groups as data."""
