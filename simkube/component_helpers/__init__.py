"""Rules that several components keep alike: tolerations, volumes for claims, cron schedules."""
